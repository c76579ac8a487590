//! Printing rows as a table or as JSON.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::options::Format;

/// Something that can be printed as rows.
pub trait Row: Serialize {
    /// Column titles.
    const TITLES: &'static [&'static str];

    /// Cells, one per title.
    fn cells(&self) -> Vec<String>;
}

/// Prints the rows. `empty` is said instead of a table without rows.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
pub fn print<R: Row>(rows: &[R], format: Format, empty: &str) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(rows)?),
        Format::Table if rows.is_empty() => println!("{empty}"),
        Format::Table => println!("{}", table(rows)),
    }
    Ok(())
}

/// The same rows as text, without borders: it can be cut with `awk` all the same.
fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(R::TITLES);
    for row in rows {
        table.add_row(row.cells());
    }
    table.lines().map(|line| line.trim().to_owned() + "\n").collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, u32);

    impl Row for Pair {
        const TITLES: &'static [&'static str] = &["NAME", "N"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_string()]
        }
    }

    #[test]
    fn columns_line_up() {
        let text = table(&[Pair("a", 1), Pair("longer", 22)]);
        let columns: Vec<usize> = text.lines().map(|line| line.rfind(' ').unwrap()).collect();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
