//! Docker's and OCI's JSON notation of profiles. Every error names the place.

use super::ProfileError;
use super::profile::{Action, Condition, Profile, Rule, Scope, Test};
use super::syscalls::Arch;
use crate::sandbox::capabilities;
use serde_json::Value;

type Result<T> = std::result::Result<T, ProfileError>;

/// `EPERM`, what a refused call fails with unless the profile says otherwise.
const EPERM: u16 = 1;
/// The kernel's highest error number.
const MAX_ERRNO: u64 = 4095;

/// A value and where it stands.
struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    fn invalid(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> ProfileError {
        ProfileError::invalid(self.path.clone(), message)
    }

    /// A field; `None` when it is missing or null.
    fn field(&self, name: &str) -> Result<Option<Node<'a>>> {
        let Some(object) = self.value.as_object() else {
            return Err(self.invalid("an object is needed here"));
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        Ok(object
            .get(name)
            .filter(|value| !value.is_null())
            .map(|value| Node { value, path: format!("{}{dot}{name}", self.path) }))
    }

    /// The elements of a list field; none when it is missing or null.
    fn list(&self, name: &str) -> Result<Vec<Node<'a>>> {
        let Some(list) = self.field(name)? else { return Ok(Vec::new()) };
        let items = list.value.as_array().ok_or_else(|| list.invalid("a list is needed here"))?;
        let at = |(i, value)| Node { value, path: format!("{}[{i}]", list.path) };
        Ok(items.iter().enumerate().map(at).collect())
    }

    fn string(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.invalid("a string is needed here"))
    }

    fn number(&self, max: u64) -> Result<u64> {
        match self.value.as_u64() {
            Some(number) if number <= max => Ok(number),
            _ => Err(self.invalid(format!("a whole number from 0 to {max} is needed here"))),
        }
    }
}

/// A whole profile.
pub(super) fn profile(value: &Value) -> Result<Profile> {
    let root = Node { value, path: String::new() };
    let default = root
        .field("defaultAction")?
        .ok_or_else(|| ProfileError::invalid("defaultAction", "a profile needs this field"))?;
    let default = action(&default, errno(&root, "defaultErrnoRet", "defaultErrno")?)?;
    let machines = machines(&root)?;
    flags(&root)?;
    if let Some(listener) = root.field("listenerPath")? {
        return Err(ProfileError::unsupported(listener.path, NO_LISTENER));
    }
    let rules = root.list("syscalls")?.iter().map(rule).collect::<Result<_>>()?;
    Ok(Profile { machines, rules, ..Profile::new(default) })
}

const NO_LISTENER: &str =
    "deciding calls in another process (SCMP_ACT_NOTIFY) is not built; use SCMP_ACT_ERRNO";

/// The kinds of calls that may be made beside the machine's own; misspelt ones are errors.
fn machines(root: &Node<'_>) -> Result<Vec<Arch>> {
    let map = root.list("archMap")?;
    let plain = root.list("architectures")?;
    if let (Some(_), Some(second)) = (map.first(), plain.first()) {
        return Err(second.invalid("`archMap` and `architectures` exclude each other"));
    }
    let mut machines = Vec::new();
    for entry in &map {
        let main = entry.field("architecture")?.map(|name| machine(&name)).transpose()?.flatten();
        let others = entry.list("subArchitectures")?.iter().map(machine).collect::<Result<Vec<_>>>()?;
        if main.is_some() && main == Arch::native() {
            machines.extend(others.into_iter().flatten());
        }
    }
    for name in &plain {
        machines.extend(machine(name)?);
    }
    Ok(machines)
}

fn machine(name: &Node<'_>) -> Result<Option<Arch>> {
    const KNOWN: &str = " X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 \
                         PPC64LE S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB NATIVE ";
    match name.string()?.strip_prefix("SCMP_ARCH_") {
        Some(word) if !word.contains(' ') && KNOWN.contains(&format!(" {word} ")) => Ok(Arch::of_scmp(word)),
        _ => Err(name.invalid("no such machine; names look like SCMP_ARCH_X86_64")),
    }
}

fn flags(root: &Node<'_>) -> Result<()> {
    for flag in root.list("flags")? {
        match flag.string()? {
            // the filter is attached before the first thread is made, and the kernel's own default since
            // 5.16 is what SPEC_ALLOW asks for
            "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => {}
            "SECCOMP_FILTER_FLAG_LOG" | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                return Err(ProfileError::unsupported(flag.path, "this flag is not built; leave it out"));
            }
            _ => return Err(flag.invalid("no such flag")),
        }
    }
    Ok(())
}

fn rule(node: &Node<'_>) -> Result<Rule> {
    let set = action(
        &node.field("action")?.ok_or_else(|| node.invalid("a rule needs the field `action`"))?,
        errno(node, "errnoRet", "errno")?,
    )?;
    let mut names = node.list("names")?;
    match node.field("name")? {
        Some(name) if names.is_empty() => names.push(name),
        Some(name) => return Err(name.invalid("`name` and `names` exclude each other")),
        None if names.is_empty() => return Err(node.invalid("a rule needs `names`, a list of calls")),
        None => {}
    }
    Ok(Rule {
        path: node.path.clone(),
        names: names.iter().map(|n| Ok(n.string()?.to_owned())).collect::<Result<_>>()?,
        action: set,
        args: node.list("args")?.iter().map(condition).collect::<Result<_>>()?,
        includes: scope(node, "includes")?,
        excludes: scope(node, "excludes")?,
    })
}

fn action(node: &Node<'_>, data: Option<u16>) -> Result<Action> {
    let data_or_default = data.unwrap_or(EPERM);
    let action = match node.string()? {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_ERRNO" => Action::Errno(data_or_default),
        "SCMP_ACT_TRACE" => Action::Trace(data_or_default),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_NOTIFY" => return Err(ProfileError::unsupported(node.path.clone(), NO_LISTENER)),
        _ => return Err(node.invalid("no such action; names look like SCMP_ACT_ALLOW")),
    };
    Ok(action)
}

/// The error number of an action. Podman writes the name beside it; the name alone is not understood.
fn errno(node: &Node<'_>, number: &str, name: &str) -> Result<Option<u16>> {
    match (node.field(number)?, node.field(name)?) {
        (Some(number), _) => Ok(Some(number.number(MAX_ERRNO)? as u16)),
        (None, Some(name)) => Err(name.invalid(format!("give the number, in `{number}`"))),
        (None, None) => Ok(None),
    }
}

fn condition(node: &Node<'_>) -> Result<Condition> {
    let index = match node.field("index")? {
        Some(index) => index.number(5)? as u8,
        None => return Err(node.invalid("a condition needs `index`, the argument's number")),
    };
    let number = |name: &str| node.field(name)?.map_or(Ok(0), |n| n.number(u64::MAX));
    let (value, second) = (number("value")?, number("valueTwo")?);
    let op = node.field("op")?.ok_or_else(|| node.invalid("a condition needs `op`, the comparison"))?;
    let test = match op.string()? {
        "SCMP_CMP_NE" => Test::Ne(value),
        "SCMP_CMP_LT" => Test::Lt(value),
        "SCMP_CMP_LE" => Test::Le(value),
        "SCMP_CMP_EQ" => Test::Eq(value),
        "SCMP_CMP_GE" => Test::Ge(value),
        "SCMP_CMP_GT" => Test::Gt(value),
        // bits of the second value outside the mask do not count, as in libseccomp
        "SCMP_CMP_MASKED_EQ" => Test::Masked { mask: value, value: second & value },
        _ => return Err(op.invalid("no such comparison; names look like SCMP_CMP_EQ")),
    };
    Ok(Condition { index, test })
}

fn scope(node: &Node<'_>, name: &str) -> Result<Scope> {
    let Some(node) = node.field(name)? else { return Ok(Scope::default()) };
    let mut scope = Scope::default();
    for cap in node.list("caps")? {
        let name = cap.string()?;
        match capabilities::NAMES.iter().position(|known| *known == name) {
            Some(bit) => scope.caps |= 1 << bit,
            None => return Err(cap.invalid("no such capability; names look like CAP_SYS_ADMIN")),
        }
    }
    for arch in node.list("arches")? {
        scope.arches.push(arch.string()?.to_owned());
    }
    if let Some(kernel) = node.field("minKernel")? {
        let version = kernel.string()?.split_once('.');
        let version = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        scope.min_kernel = Some(version.ok_or_else(|| kernel.invalid("a version like 4.8 is needed here"))?);
    }
    Ok(scope)
}
