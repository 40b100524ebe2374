//! The list of actions is closed.
struct Everything;
impl access::Action for Everything {
    const NAME: access::ActionName = access::ActionName::Read;
}
fn main() {}
