//! Users of the machine, as `/etc/passwd` has them (passwd(5)): not those of the services that a machine may ask besides
//! (nsswitch.conf), which would be libraries.

/// A user's name.
pub(crate) fn name_of(uid: u32) -> Option<String> {
    let users = std::fs::read("/etc/passwd").ok()?;
    find(uid, &String::from_utf8_lossy(&users)).map(str::to_owned)
}

fn find(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':').map(str::trim);
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n:x:5:\nbroken\n somebody:x: 1000:1000::/:\n";
        assert_eq!(find(0, users), Some("root"));
        assert_eq!(find(1000, users), Some("somebody"));
        assert_eq!([find(5, users), find(7, users)], [None, None]);
    }
}
