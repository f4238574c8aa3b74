//! Mounts as they are shown: from the options alone, because a source may be gone by now.

use super::mounts::{declared, kind, target};
use crate::container::CreateOptions;
use crate::{ImageConfig, MountPoint};

/// All mounts of a container, by target.
pub(crate) fn points(options: &CreateOptions, image: &ImageConfig) -> Vec<MountPoint> {
    let mut all = Vec::new();
    let mut add = |kind: &str, source: &str, to: &str, read_only: bool| {
        // Whatever was created has good targets.
        let target = target(to, "mounts").unwrap_or_else(|_| to.to_owned());
        all.push(MountPoint { kind: kind.to_owned(), source: source.to_owned(), target, read_only });
    };
    for (path, flags) in &options.tmpfs {
        add("tmpfs", "", path, flags.split(',').any(|f| f == "ro"));
    }
    for volume in &options.volumes {
        let mut parts = volume.splitn(3, ':');
        let (source, to) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        add("bind", source, to, parts.next().is_some_and(|flags| flags.split(',').any(|f| f == "ro")));
    }
    for mount in &options.mounts {
        add(kind(mount), &mount.source, &mount.target, mount.read_only);
    }
    for target in declared(image).unwrap_or_default() {
        if !all.iter().any(|m| m.target == target) {
            all.push(MountPoint { kind: "volume".into(), target, ..MountPoint::default() });
        }
    }
    all.sort_by(|a, b| a.target.cmp(&b.target));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::MountSpec;

    #[test]
    fn all_sorts_are_shown_without_a_look_at_the_machine() {
        let options = CreateOptions {
            tmpfs: [("/t/".to_owned(), "size=1m,ro".to_owned())].into(),
            volumes: vec!["/no/such/source:/b:ro,z".into(), "/c:/c".into()],
            mounts: vec![MountSpec { source: "/a".into(), target: "/data".into(), ..MountSpec::default() }],
            ..CreateOptions::default()
        };
        let volumes = ["/data", "/var/lib/x", "/proc/y"].map(str::to_owned).into();
        let image = ImageConfig { volumes, ..ImageConfig::default() };
        let shown: Vec<String> = points(&options, &image)
            .iter()
            .map(|m| format!("{} {} {} {}", m.kind, m.source, m.target, m.read_only))
            .collect();
        let expected = [
            "bind /no/such/source /b true",
            "bind /c /c false",
            "bind /a /data false",
            "tmpfs  /t true",
            "volume  /var/lib/x false",
        ];
        assert_eq!(shown, expected);
    }
}
