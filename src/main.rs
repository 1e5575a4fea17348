//! tmp
fn main() {
    picket::cli::tmp(&std::env::args().nth(1).unwrap());
}
