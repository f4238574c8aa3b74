//! Compiles C programs against the committed header and the library, and runs them: the rules of the
//! interface, the conformance table, the examples.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a workspace").to_path_buf()
}

/// The folder with libcontainers.so; built, because tests do not depend on a cdylib by themselves.
fn library() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("procfs is there");
        let folder = this.ancestors().nth(2).expect("target/PROFILE/deps").to_path_buf();
        let mut cargo = Command::new(env!("CARGO"));
        // As `make build` does it, which has built it then: a package alone, or what cargo sets for this test, would
        // have dependencies built once more, and again for who builds next.
        cargo.args(["build", "-q", "--workspace", "--exclude", "containers-oci"]).current_dir(repository());
        for (name, _) in std::env::vars_os().filter(|(name, _)| set_by_cargo(name)) {
            cargo.env_remove(name);
        }
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "the library does not build");
        folder
    })
}

/// Cargo tells a test about its package by these.
fn set_by_cargo(name: &OsStr) -> bool {
    let of_the_package =
        |name: &str| ["PKG_", "MANIFEST_", "CRATE_", "BIN_"].iter().any(|of| name.starts_with(of));
    name == "OUT_DIR"
        || name.to_str().and_then(|name| name.strip_prefix("CARGO_")).is_some_and(of_the_package)
}

/// A folder that goes with its value.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> TempDir {
        let path = std::env::temp_dir().join(format!("containers-c-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("the temp folder is writable");
        TempDir(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Also what the library allocates is watched: leaks, use after free, and undefined behaviour of the programs.
const WATCHED: &[&str] = &["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover"];

fn compile(source: &str, compiler: &str, args: &[&str], to: &TempDir) -> PathBuf {
    let program = to.0.join(Path::new(source).file_stem().expect("it has a name"));
    let status = Command::new(compiler)
        .args(args)
        .args(["-g", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .arg(repository().join(source))
        .arg("-I")
        .arg(repository().join("include"))
        .arg("-L")
        .arg(library())
        .args(["-lcontainers", "-lpthread", "-o"])
        .arg(&program)
        .status();
    assert!(status.expect("a compiler is installed").success(), "{source} does not compile");
    program
}

fn run(program: &Path, args: &[&str], root: &TempDir) -> Output {
    let mut command = Command::new(program);
    command.args(args).env("LD_LIBRARY_PATH", library()).env("CONTAINERS_ROOT", root.0.join("root"));
    let output = command.output().expect("it was just compiled");
    print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

fn expect_success(output: &Output) -> String {
    assert!(output.status.success(), "it ended with {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_ctr_symbols_are_exported() {
    let output = Command::new("nm")
        .args(["-D", "--defined-only", "--format=posix"])
        .arg(library().join("libcontainers.so"))
        .output()
        .expect("binutils are installed");
    let listed = expect_success(&output);
    let others: Vec<&str> = listed.lines().filter(|l| !l.starts_with("ctr_")).collect();
    assert!(others.is_empty() && listed.lines().count() > 50, "also exported: {others:?}");
}

#[test]
fn wrong_arguments_are_errors() {
    let tmp = TempDir::new("arguments");
    let program = compile("bindings-c/tests/interface.c", "cc", WATCHED, &tmp);
    expect_success(&run(&program, &["arguments"], &tmp));
}

#[test]
fn rules_hold_with_containers() {
    let tmp = TempDir::new("rules");
    let program = compile("bindings-c/tests/interface.c", "cc", WATCHED, &tmp);
    let root = tmp.0.join("own-root");
    let mut args = vec![root.to_str().expect("it is text")];
    let registry = closed_registry();
    args.extend(registry.as_ref().map(|(_, reference)| reference.as_str()));
    expect_success(&run(&program, &args, &tmp));
    if let Some((mut child, _)) = registry {
        // It ends when its input does.
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }
}

fn has_registry() -> bool {
    let installed = |tool: &str| Path::new("/usr/bin").join(tool).exists();
    ["docker-registry", "skopeo", "umoci"].into_iter().all(installed)
}

/// A registry that wants bob with the password s3cret, and the reference of an image in it.
fn closed_registry() -> Option<(Child, String)> {
    if !has_registry() {
        return None;
    }
    let mut child = Command::new("python3")
        .arg(repository().join("tests/registry/start.py"))
        .args(["--auth", "bob:s3cret", "--images", "oci"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let reference = lines.iter().find_map(|line| line.strip_prefix("oci=")).expect("it started");
    Some((child, reference.to_owned()))
}

#[test]
fn conformance_table() {
    let tmp = TempDir::new("conformance");
    let program = compile("bindings-c/tests/conformance.c", "cc", WATCHED, &tmp);
    let runner = repository().join("tests/conformance/run_c.py");
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let program = program.to_str().expect("it is text");
    let mut python = Command::new("python3");
    python.arg("-B").env("LD_LIBRARY_PATH", library());
    if has_registry() {
        python.arg(repository().join("tests/registry/start.py")).args(["--", "python3", "-B"]);
    }
    python.arg(runner).args([program, &only]);
    assert!(python.status().expect("python3 is installed").success(), "see the list above");
}

#[test]
fn the_readmes_program_runs() {
    let tmp = TempDir::new("readme");
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("it is there");
    let block = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has C");
    let source = tmp.0.join("first.c");
    std::fs::write(&source, block).expect("the temp folder is writable");
    let program = compile(source.to_str().expect("it is text"), "cc", &["-std=c99"], &tmp);
    assert_eq!(expect_success(&run(&program, &[], &tmp)), "0 hello\n");
}

#[test]
fn examples_run() {
    let tmp = TempDir::new("examples");
    let c99 = ["-std=c99", "-D_POSIX_C_SOURCE=200809L"];
    let said = |name: &str, args: &[&str]| {
        let program = compile(&format!("examples/c/{name}.c"), "cc", &c99, &tmp);
        expect_success(&run(&program, args, &tmp))
    };
    assert_eq!(said("run", &[]), "hello from box, user root\n");
    let lifecycle = said("lifecycle", &[]);
    for line in ["status: running", "ended: no", "ended: yes, exit code 0", "started\nstopping"] {
        assert!(lifecycle.contains(line), "{line:?} is not in {lifecycle}");
    }
    let streams = said("streams", &[]);
    for line in ["err: reading", "out: apple\nfig\npear\n", "exit code 0"] {
        assert!(streams.contains(line), "{line:?} is not in {streams}");
    }
    // Needs a registry; that it compiles and fails as it should is shown here.
    let pull = compile("examples/c/pull.c", "cc", &c99, &tmp);
    let failed = run(&pull, &["127.0.0.1:1/none:1"], &tmp);
    assert!(String::from_utf8_lossy(&failed.stderr).starts_with("registry: "), "{failed:?}");
}
