//! Each file in `forgery/` tries to make a token of right that it has no business making. None of
//! them may compile; the expected refusals stand beside them.

#[test]
fn no_cheat_compiles() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/forgery/*.rs");
}
