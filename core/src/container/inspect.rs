//! docker's inspect document.

use super::record::Record;
use super::shared::{Shared, is_running};
use super::spec::{self, Seccomp, Spec};
use crate::Result;
use crate::sandbox::capabilities;
use containers_protocol::control::State;
use containers_protocol::plan::Restart;
use serde_json::{Value, json};

impl Shared {
    /// [`crate::Container::inspect`].
    pub(super) async fn inspect(&self) -> Result<Value> {
        let state = self.state().await?;
        let record = self.record();
        // A source of a mount may be gone by now, which makes no difference to what was asked for.
        let spec = record.spec().ok();
        let dir = self.dir();
        Ok(json!({
            "Id": record.id,
            "Created": time(record.created),
            "Path": command(&record, spec.as_ref()).first(),
            "Args": command(&record, spec.as_ref()).get(1..).unwrap_or_default(),
            "State": self.state_document(&state),
            "Image": record.image_id,
            "Name": format!("/{}", record.name),
            "RestartCount": state.restarts,
            "Driver": "overlay",
            "Platform": "linux",
            "LogPath": dir.join("log"),
            "HostConfig": host_config(&record, spec.as_ref()),
            "Mounts": mounts(&record),
            "Config": config(&record, spec.as_ref()),
            "NetworkSettings": {
                "Networks": {record.network().to_owned(): {}},
                "Ports": {},
            },
            "Detached": self.detached,
            "Warnings": self.warnings(spec.as_ref(), &state),
        }))
    }

    fn state_document(&self, state: &State) -> Value {
        let exit = state.exit.clone().unwrap_or_default();
        let running = is_running(state);
        let started_at = state.started.as_ref().map_or(exit.started_at, |s| s.at);
        let error = exit.failure.as_ref().map(|f| super::failure::describe(f.clone()).to_string());
        let mut document = json!({
            "Status": state.status,
            "Running": running,
            "Paused": state.status == "paused",
            "Restarting": state.status == "restarting",
            "OOMKilled": exit.oom_killed,
            "Dead": false,
            "Pid": if running { state.started.as_ref().map_or(0, |s| s.pid) } else { 0 },
            "ExitCode": if running { 0 } else { exit.code },
            "Error": error.unwrap_or_default(),
            "StartedAt": time(started_at),
            "FinishedAt": time(if running { 0 } else { exit.finished_at }),
        });
        if !state.health.is_empty() {
            document["Health"] = json!({"Status": state.health});
        }
        document
    }

    fn warnings(&self, spec: Option<&Spec>, state: &State) -> Vec<String> {
        let mut warnings = state.started.as_ref().map(|s| s.warnings.clone()).unwrap_or_default();
        if let Some(spec) = spec {
            let how = crate::cgroup::Use { managed: true, may_mknod: spec.may_mknod() };
            warnings.extend(self.rt.cgroups.plan(&spec.limits, how).map(|(_, w)| w).unwrap_or_default());
        }
        warnings
    }
}

fn command(record: &Record, spec: Option<&Spec>) -> Vec<String> {
    spec.map_or_else(|| record.options.command.clone(), |s| s.args.clone())
}

fn config(record: &Record, spec: Option<&Spec>) -> Value {
    let o = &record.options;
    let image = &record.image_config;
    let mut labels = image.labels.clone();
    labels.extend(o.labels.clone());
    let command = if o.command.is_empty() && o.entrypoint.is_none() { &image.cmd } else { &o.command };
    json!({
        "Hostname": o.hostname.clone().unwrap_or_else(|| record.id[..12].to_owned()),
        "Domainname": o.domainname.clone().unwrap_or_default(),
        "User": spec.map_or_else(|| o.user.clone().unwrap_or_default(), |s| s.user.clone()),
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": o.tty,
        "OpenStdin": o.stdin,
        "StdinOnce": o.stdin,
        "Env": spec.map(|s| s.env.clone()),
        "Cmd": command,
        "Entrypoint": o.entrypoint.as_ref().unwrap_or(&image.entrypoint),
        "Image": record.image,
        "WorkingDir": spec.map_or_else(String::new, |s| s.cwd.clone()),
        "Labels": labels,
        "Annotations": o.annotations,
        "StopSignal": o.stop_signal.clone().unwrap_or_else(|| image.stop_signal.clone()),
        "StopTimeout": o.stop_timeout.unwrap_or(10.0),
        "Healthcheck": spec::health_check(o, image).map(health),
    })
}

fn host_config(record: &Record, spec: Option<&Spec>) -> Value {
    let o = &record.options;
    let limits = spec.map(|s| s.limits.clone()).unwrap_or_default();
    let (policy, retries) = match spec.map_or(Restart::No, |s| s.restart) {
        Restart::No => ("no", 0),
        Restart::OnFailure(n) => ("on-failure", n.unwrap_or(0)),
        Restart::Always => ("always", 0),
        Restart::UnlessStopped => ("unless-stopped", 0),
    };
    let security: Vec<&str> = spec.map_or_else(Vec::new, |s| {
        let mut list = Vec::new();
        if s.no_new_privs {
            list.push("no-new-privileges");
        }
        if s.seccomp == Seccomp::Unconfined {
            list.push("seccomp=unconfined");
        }
        list
    });
    json!({
        "NetworkMode": record.network(),
        "Binds": o.volumes,
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": retries},
        "AutoRemove": o.auto_remove,
        "CapAdd": o.cap_add,
        "CapDrop": o.cap_drop,
        "Capabilities": spec.map(|s| capabilities::names(s.caps.bounding).collect::<Vec<_>>()),
        "Privileged": o.privileged,
        "ReadonlyRootfs": o.read_only,
        "Init": o.init,
        "SecurityOpt": security,
        "UsernsMode": o.userns.clone().unwrap_or_default(),
        "ShmSize": spec.map_or(0, |s| s.shm_size),
        "Sysctls": o.sysctls,
        "Tmpfs": o.tmpfs,
        "Dns": o.dns,
        "ExtraHosts": o.extra_hosts.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>(),
        "GroupAdd": o.group_add,
        "Memory": limits.memory.unwrap_or(0),
        "NanoCpus": limits.cpus.map_or(0, |c| (c * 1e9) as u64),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset.unwrap_or_default(),
        "PidsLimit": o.pids_limit,
        "Ulimits": o.ulimits,
        "Devices": o.devices,
    })
}

fn mounts(record: &Record) -> Vec<Value> {
    let points = spec::points(&record.options, &record.image_config);
    let one = |m: crate::MountPoint| {
        json!({
            "Type": m.kind, "Source": m.source, "Destination": m.target,
            "Mode": if m.read_only { "ro" } else { "" }, "RW": !m.read_only,
        })
    };
    points.into_iter().map(one).collect()
}

/// docker's form, times being nanoseconds.
fn health(check: crate::HealthCheck) -> Value {
    let nanos = |seconds: Option<f64>| (seconds.unwrap_or(0.0) * 1e9) as i64;
    json!({
        "Test": check.test,
        "Interval": nanos(check.interval),
        "Timeout": nanos(check.timeout),
        "StartPeriod": nanos(check.start_period),
        "Retries": check.retries.unwrap_or(0),
    })
}

/// RFC 3339; docker's zero time for 0.
fn time(nanos: i64) -> String {
    if nanos == 0 {
        return "0001-01-01T00:00:00Z".into();
    }
    jiff::Timestamp::from_nanosecond(nanos.into()).map(|t| t.to_string()).unwrap_or_default()
}
