//! The table: each row is a test for each version and each runtime that can express it.

/// Makes tests of rows. `add_v4: all, [driver, cnitool];` has the function `add_v4(&Cell)` run as
/// `add_v4::v0_3_0::driver`, `add_v4::v0_3_0::cnitool`, `add_v4::v0_3_1::driver` and so on. Versions are `all`,
/// `up_to_1_0_0`, `since_0_4_0` or `since_1_1_0`.
#[macro_export]
macro_rules! rows {
    ($($row:ident: $versions:ident, $runtimes:tt;)*) => {
        $(mod $row { $crate::rows!(@$versions $row $runtimes); })*
    };
    (@all $row:ident $runtimes:tt) => {
        $crate::rows!(@each [v0_3_0 v0_3_1 v0_4_0 v1_0_0 v1_1_0] $row $runtimes);
    };
    (@up_to_1_0_0 $row:ident $runtimes:tt) => {
        $crate::rows!(@each [v0_3_0 v0_3_1 v0_4_0 v1_0_0] $row $runtimes);
    };
    (@since_0_4_0 $row:ident $runtimes:tt) => {
        $crate::rows!(@each [v0_4_0 v1_0_0 v1_1_0] $row $runtimes);
    };
    (@since_1_1_0 $row:ident $runtimes:tt) => {
        $crate::rows!(@each [v1_1_0] $row $runtimes);
    };
    (@each [$($version:ident)*] $row:ident $runtimes:tt) => {
        $(mod $version { $crate::rows!(@tests $version $row $runtimes); })*
    };
    (@tests $version:ident $row:ident [$($runtime:ident),*]) => {
        $(#[test]
        fn $runtime() {
            $crate::Cell::run(stringify!($version), stringify!($runtime), super::super::$row);
        })*
    };
}
