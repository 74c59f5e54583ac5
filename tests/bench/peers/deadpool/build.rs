//! The version that was resolved, for the report.
fn main() {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let version = lock
        .split("[[package]]")
        .find(|p| p.contains("name = \"deadpool\"\n"))
        .and_then(|p| p.split("version = \"").nth(1))
        .and_then(|p| p.split('"').next())
        .unwrap_or("unknown");
    println!("cargo:rustc-env=DEADPOOL_VERSION={version}");
}
