//! One page that needs no other file, no script and no network.

use super::escape;
use crate::matrix::{Cell, Grade, Matrix};

const STYLE: &str = include_str!("page.css");

/// The grid, what was found, and each pair in a list, for small screens and details.
pub fn write(matrix: &Matrix) -> String {
    let sum = escape(&matrix.sum());
    let findings = matrix.findings();
    let findings = findings[..findings.len() - 1].iter();
    let findings: String = findings
        .map(|finding| format!("<li>{}</li>\n", escape(finding)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>NAT traversal matrix: {sum}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>NAT traversal matrix</h1>\n<p class=\"sum\">{sum}.</p>\n<ul>\n{findings}</ul>\n\
         <div class=\"wide\">\n{}</div>\n\
         <p class=\"legend\"><span class=\"direct\">direct</span> <span class=\"relay\">relay</span> \
         <span class=\"failed\">failed</span> <span class=\"wrong\">not as expected</span></p>\n\
         <h2>Each pair</h2>\n{}</body>\n</html>\n",
        grid(matrix),
        details(matrix),
    )
}

fn grid(matrix: &Matrix) -> String {
    let heads = matrix.types.iter();
    let heads: String = heads
        .map(|name| format!("<th scope=\"col\"><span>{}</span></th>", escape(name)))
        .collect();
    let rows = matrix.cells.chunks(matrix.types.len()).enumerate();
    let rows: String = rows
        .map(|(number, row)| {
            let cells = row.iter().enumerate().map(|(across, cell)| {
                let index = number * matrix.types.len() + across;
                let how = cell.how().map_or(String::new(), |how| {
                    format!("<small>{}</small>", escape(how))
                });
                let (class, outcome) = (class(cell), escape(cell.outcome()));
                format!("<td class=\"{class}\"><a href=\"#p{index}\">{outcome}{how}</a></td>")
            });
            let cells = String::from_iter(cells);
            format!(
                "<tr><th scope=\"row\">{}</th>{cells}</tr>\n",
                escape(&matrix.types[number])
            )
        })
        .collect();
    format!(
        "<table>\n<thead><tr><td>alice ╲ bob</td>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn details(matrix: &Matrix) -> String {
    let cells = matrix.cells.iter().enumerate();
    let cells = cells.map(|(index, cell)| {
        let [a, b] = matrix.pair(index).map(escape);
        let open = if cell.grade() == Grade::Expected { "" } else { " open" };
        let mut rows = vec![("got", escape(cell.outcome()))];
        if let Cell::Ran(pair) = cell {
            rows.insert(0, ("expected", pair.expected.into()));
            rows.extend(cell.how().map(|how| ("how", escape(how))));
            if pair.got.is_some() {
                rows.push(("time", format!("{} ms after the introduction", pair.elapsed_ms)));
            }
            rows.extend(pair.cause.iter().map(|cause| ("cause", escape(cause))));
            if pair.as_asked == Some(false) {
                rows.push(("NATs", "not as asked".into()));
            }
        }
        let rows = rows.into_iter();
        let rows: String = rows
            .map(|(key, value)| format!("<dt>{key}</dt><dd>{value}</dd>"))
            .collect();
        format!(
            "<details id=\"p{index}\"{open}><summary><span class=\"{}\">{}</span> {a} × {b}</summary><dl>{rows}</dl></details>\n",
            class(cell),
            escape(cell.outcome()),
        )
    });
    cells.collect()
}

fn class(cell: &Cell) -> &'static str {
    match (cell.grade(), cell.outcome()) {
        (Grade::Expected, "relay") => "relay",
        (Grade::Expected, "failed") => "failed",
        (Grade::Expected, _) => "direct",
        _ => "wrong",
    }
}

#[cfg(test)]
mod tests {
    use crate::matrix::tests::matrix;

    #[test]
    fn every_pair_is_in_the_grid_and_in_the_list() {
        let page = super::write(&matrix());
        for index in 0..4 {
            assert!(page.contains(&format!("href=\"#p{index}\"")), "{index}");
            assert!(
                page.contains(&format!("<details id=\"p{index}\"")),
                "{index}"
            );
        }
        assert!(page.contains("it &lt;broke&gt; &amp; &quot;left&quot;"));
        assert!(!page.contains("<broke>") && !page.contains("http") && !page.contains("<script"));
    }
}
