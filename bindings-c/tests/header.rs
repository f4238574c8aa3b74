//! The committed header is what the build generates, and it is C and C++.
//!
//! `UPDATE_HEADER=1 cargo test -p containers-c --test header` takes over a changed one.

use std::path::Path;
use std::process::Command;

const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/containers.h"));
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/containers.h");

#[test]
fn committed_header_is_the_generated_one() {
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(COMMITTED, GENERATED).expect("include/ is writable");
    }
    let committed = std::fs::read_to_string(COMMITTED).expect("include/containers.h is committed");
    let differs = committed.lines().zip(GENERATED.lines()).find(|(a, b)| a != b);
    assert!(committed == GENERATED, "include/containers.h is old; first difference: {differs:?}");
}

#[test]
fn header_knows_the_version() {
    assert!(GENERATED.contains(concat!("#define CTR_VERSION \"", env!("CARGO_PKG_VERSION"), "\"")));
}

#[test]
fn header_compiles_as_c_and_cpp_also_twice() {
    let source = "#include <containers.h>\n#include <containers.h>\nint main(void) { return CTR_OK; }\n";
    let warnings = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
    for (compiler, standard, language) in [
        ("cc", "-std=c99", "-xc"),
        ("cc", "-std=c11", "-xc"),
        ("cc", "-std=c17", "-xc"),
        ("c++", "-std=c++11", "-xc++"),
        ("c++", "-std=c++17", "-xc++"),
    ] {
        let include = Path::new(COMMITTED).parent().expect("it is in a folder");
        let mut child = Command::new(compiler)
            .args([standard, language])
            .args(warnings)
            .arg("-I")
            .arg(include)
            .arg("-")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("a compiler is installed");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        std::io::Write::write_all(&mut stdin, source.as_bytes()).expect("the compiler reads");
        drop(stdin);
        assert!(child.wait().expect("it ends").success(), "{compiler} {standard} refuses the header");
    }
}

#[test]
fn every_function_says_whose_thread_and_whether_it_blocks() {
    // A declaration follows its comment at the beginning of a line.
    for (at, _) in GENERATED.match_indices("\nint32_t ctr_").chain(GENERATED.match_indices("\nvoid ctr_")) {
        let comment = &GENERATED[GENERATED[..at].rfind("/**").expect("it has a comment")..at];
        let text = comment.replace("\n *", " ").replace("  ", " ");
        let name = GENERATED[at..].split('(').next().expect("it is a declaration").trim();
        assert!(text.contains("Any thread"), "{name} does not say its threads");
        assert!(text.contains("does not block") || text.contains("may block"), "{name}: does it block?");
    }
}
