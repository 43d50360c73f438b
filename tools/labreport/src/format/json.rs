//! All cells as one JSON object (docs/reference/json.md).

use crate::matrix::Matrix;

/// The object; a cell whose lab did not come up is null.
pub fn write(matrix: &Matrix) -> String {
    let cells = matrix.cells.iter().map(|cell| {
        let cell = serde_json::to_string(cell);
        cell.unwrap_or_else(|_| "null".into())
    });
    format!(
        "{{\"cells\": [\n{}\n]}}\n",
        Vec::from_iter(cells).join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::matrix::tests::matrix;

    #[test]
    fn it_is_json_with_the_documented_keys() {
        let json: Value = serde_json::from_str(&super::write(&matrix())).unwrap();
        let cells = json["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 4);
        assert_eq!(
            (&cells[0]["a"], &cells[0]["got"]),
            (&"full-cone".into(), &"direct".into())
        );
        assert_eq!((&cells[1]["got"], &cells[3]), (&Value::Null, &Value::Null));
        assert_eq!(cells[0].get("measured"), None, "they were not measured");
    }
}
