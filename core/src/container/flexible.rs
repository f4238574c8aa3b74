//! The further shapes that docker's own clients know for some options: environment as a list, volumes as a
//! mapping, users as numbers… A value of a wrong type is refused with what is wanted; one that is malformed
//! is a custom error of the deserialiser.

use super::{PortBinding, SizeSpec, UlimitSpec};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Text, or a whole number as its digits.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Scalar, E> {
                Ok(Scalar(v.to_owned()))
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A string or a whole number, or nothing.
pub(super) fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Scalar>::deserialize(deserializer)?.map(|s| s.0))
}

/// A list of strings or whole numbers.
pub(super) fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<Scalar>::deserialize(deserializer)?.into_iter().map(|s| s.0).collect())
}

/// What a list entry without `=` means.
trait Bare {
    const WANTED: &'static str;
    fn value<E: Error>(name: &str) -> Result<String, E>;
}

struct Pairs<B>(PhantomData<B>);

impl<'de, B: Bare> Visitor<'de> for Pairs<B> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(B::WANTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Scalar>()? {
            pairs.insert(key, value.0);
        }
        Ok(pairs)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(entry) = seq.next_element::<String>()? {
            match entry.split_once('=') {
                Some((key, value)) => pairs.insert(key.to_owned(), value.to_owned()),
                None => pairs.insert(entry.clone(), B::value(&entry)?),
            };
        }
        Ok(pairs)
    }
}

struct Environment;

impl Bare for Environment {
    const WANTED: &'static str = "a mapping of names to values, or a list of `NAME=value`";

    fn value<E: Error>(name: &str) -> Result<String, E> {
        Err(E::custom(format!("`{name}` lacks a value: nothing of this process's environment is passed on")))
    }
}

struct Labels;

impl Bare for Labels {
    const WANTED: &'static str = "a mapping of names to values, or a list of `name` and `name=value`";

    fn value<E: Error>(_: &str) -> Result<String, E> {
        Ok(String::new())
    }
}

/// `{"A": "1"}` or `["A=1"]`.
pub(super) fn environment<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    d.deserialize_any(Pairs::<Environment>(PhantomData))
}

/// `{"a": "1"}` or `["a=1", "b"]`.
pub(super) fn labels<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    d.deserialize_any(Pairs::<Labels>(PhantomData))
}

/// A mapping of names to strings or whole numbers.
pub(super) fn settings<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(BTreeMap::<String, Scalar>::deserialize(d)?.into_iter().map(|(k, v)| (k, v.0)).collect())
}

/// Where and how docker-py's mapping of volumes mounts a source.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    bind: String,
    #[serde(default)]
    mode: Option<String>,
}

/// `target[:options]`, or [`Bound`].
struct Target(String);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`target[:options]`, or a mapping with `bind` and `mode`")
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Target, E> {
                Ok(Target(v.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let bound = Bound::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                if bound.bind.contains(':') {
                    return Err(A::Error::custom(format!("`{}` has a colon: use `mounts`", bound.bind)));
                }
                Ok(Target(match bound.mode {
                    Some(mode) => format!("{}:{mode}", bound.bind),
                    None => bound.bind,
                }))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// `["source:target[:options]"]`, or `{"source": {"bind": "target", "mode": "ro"}}`.
pub(super) fn volumes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of `source:target[:options]`, or a mapping of sources to targets")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut volumes = Vec::new();
            while let Some((source, target)) = map.next_entry::<String, Target>()? {
                if source.contains(':') {
                    return Err(A::Error::custom(format!("`{source}` has a colon: use `mounts`")));
                }
                volumes.push(format!("{source}:{}", target.0));
            }
            Ok(volumes)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(Read)
}

/// `on-failure:3`, or docker's `{"Name": "on-failure", "MaximumRetryCount": 3}`.
pub(super) fn restart_policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Policy {
        name: String,
        #[serde(default)]
        maximum_retry_count: u32,
    }

    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("`no`, `always`, `unless-stopped` or `on-failure[:times]`")
        }

        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            Ok(Some(v.to_owned()))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
            d.deserialize_any(self)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let policy = Policy::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            Ok(Some(match policy.maximum_retry_count {
                0 => policy.name,
                times => format!("{}:{times}", policy.name),
            }))
        }
    }
    deserializer.deserialize_any(Read)
}

/// What a health check runs: a list, or one text for the shell.
pub(super) fn check<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string, or a list of strings")
        }

        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            Ok(vec!["CMD-SHELL".to_owned(), v.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(Read)
}

/// Filter values: one, or a list of them.
pub(super) fn filters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    struct Values(Vec<String>);
    impl<'de> Deserialize<'de> for Values {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Read;
            impl<'de> Visitor<'de> for Read {
                type Value = Values;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string, a whole number, or a list of them")
                }

                fn visit_str<E: Error>(self, v: &str) -> Result<Values, E> {
                    Ok(Values(vec![v.to_owned()]))
                }

                fn visit_i64<E: Error>(self, v: i64) -> Result<Values, E> {
                    Ok(Values(vec![v.to_string()]))
                }

                fn visit_u64<E: Error>(self, v: u64) -> Result<Values, E> {
                    Ok(Values(vec![v.to_string()]))
                }

                fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Values, A::Error> {
                    scalars(serde::de::value::SeqAccessDeserializer::new(seq)).map(Values)
                }
            }
            deserializer.deserialize_any(Read)
        }
    }
    Ok(BTreeMap::<String, Values>::deserialize(deserializer)?.into_iter().map(|(k, v)| (k, v.0)).collect())
}

/// Published ports; a key may be a bare number.
pub(super) fn ports<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<PortBinding>>, D::Error> {
    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = BTreeMap<String, Option<PortBinding>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping of container ports such as `80/tcp` to host ports")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut ports = BTreeMap::new();
            while let Some((port, binding)) = map.next_entry::<Scalar, _>()? {
                ports.insert(port.0, binding);
            }
            Ok(ports)
        }
    }
    deserializer.deserialize_map(Read)
}

impl<'de> Deserialize<'de> for SizeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = SizeSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of bytes, or text such as `256m`")
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<SizeSpec, E> {
                Ok(SizeSpec::Bytes(v))
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<SizeSpec, E> {
                i64::try_from(v)
                    .map(SizeSpec::Bytes)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<SizeSpec, E> {
                Ok(SizeSpec::Text(v.to_owned()))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for UlimitSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = UlimitSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a pair of them: soft, hard")
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<UlimitSpec, E> {
                Ok(UlimitSpec::Same(v))
            }

            fn visit_u64<E: Error>(self, v: u64) -> Result<UlimitSpec, E> {
                i64::try_from(v)
                    .map(UlimitSpec::Same)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UlimitSpec, A::Error> {
                let soft = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let hard = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                match seq.next_element::<i64>()? {
                    None => Ok(UlimitSpec::Pair(soft, hard)),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CreateOptions, ListOptions, SizeSpec, UlimitSpec};
    use serde_json::json;

    fn read(value: serde_json::Value) -> Result<CreateOptions, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    #[test]
    fn both_shapes_of_an_environment_mean_the_same() {
        let mapping = read(json!({"environment": {"A": "1", "B": 2}})).expect("a mapping is taken");
        let list = read(json!({"environment": ["A=1", "B=2"]})).expect("a list is taken");
        assert_eq!(mapping.environment, list.environment);
        assert!(read(json!({"environment": ["HOME"]})).expect_err("lacks a value").contains("HOME"));
        assert!(read(json!({"environment": 5})).expect_err("a number").contains("mapping"));
        assert!(read(json!({"environment": {"A": true}})).is_err());
    }

    #[test]
    fn volumes_are_a_list_or_a_mapping() {
        let list = read(json!({"volumes": ["/a:/b:ro"]})).expect("a list is taken").volumes;
        let mapping = json!({"volumes": {"/a": {"bind": "/b", "mode": "ro"}}});
        assert_eq!(read(mapping).expect("a mapping is taken").volumes, list);
        assert_eq!(read(json!({"volumes": {"/a": "/b"}})).expect("text is taken").volumes, ["/a:/b"]);
        assert!(read(json!({"volumes": {"/a:b": "/b"}})).expect_err("ambiguous").contains("colon"));
        assert!(read(json!({"volumes": {"/a": {"bind": "/b", "readonly": true}}})).is_err());
    }

    #[test]
    fn numbers_and_pairs_where_docker_takes_them() {
        let o = read(json!({
            "user": 1000, "group_add": [5, "audio"], "labels": ["a", "b=c"], "sysctls": {"x": 1},
            "mem_limit": 4096, "shm_size": "1m", "ulimits": {"nofile": [1, 2], "core": 0},
            "ports": {"80/tcp": null}, "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "stop_signal": 15, "healthcheck": {"test": "test -e /ok"},
        }))
        .expect("all are taken");
        assert_eq!(o.user.as_deref(), Some("1000"));
        assert_eq!(o.group_add, ["5", "audio"]);
        assert_eq!((o.labels["a"].as_str(), o.labels["b"].as_str()), ("", "c"));
        assert_eq!(o.sysctls["x"], "1");
        assert_eq!(o.mem_limit, Some(SizeSpec::Bytes(4096)));
        assert_eq!(o.ulimits["nofile"], UlimitSpec::Pair(1, 2));
        assert_eq!(o.restart_policy.as_deref(), Some("on-failure:3"));
        assert_eq!(o.stop_signal.as_deref(), Some("15"));
        assert_eq!(o.healthcheck.expect("is taken").test, ["CMD-SHELL", "test -e /ok"]);
        assert!(read(json!({"mem_limit": [1]})).expect_err("a list").contains("bytes"));
        assert!(read(json!({"ulimits": {"nofile": [1]}})).is_err());
    }

    #[test]
    fn filters_have_one_value_or_several() {
        let text = r#"{"filters": {"name": "a", "status": ["exited", "running"], "exited": 0}}"#;
        let o: ListOptions = serde_json::from_str(text).expect("all are taken");
        assert_eq!(o.filters["name"], ["a"]);
        assert_eq!(o.filters["status"], ["exited", "running"]);
        assert_eq!(o.filters["exited"], ["0"]);
    }
}
