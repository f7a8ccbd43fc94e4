//! The built interface is embedded if it is there: `deploy/build-dashboard` puts it there, and nothing here builds it.

fn main() {
    println!("cargo::rerun-if-changed=assets");
}
