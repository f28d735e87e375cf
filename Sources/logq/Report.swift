import Foundation
import LogQClient
import WireProtocol

/// The output of a command: columns for people, or one JSON value for programs.
struct Report {
    let text: String
    let json: JSONValue

    /// `text` has no trailing line end. An empty text prints nothing.
    init(text: String, json: JSONValue) {
        self.text = text
        self.json = json
    }

    init(_ table: Table, json: JSONValue) {
        self.init(text: table.text, json: json)
    }

    /// The report of a command that prints only its success.
    static let done = Report(text: "OK", json: .object([("ok", .bool(true))]))

    func print(asJSON: Bool) {
        let output = asJSON ? json.text : text
        if !output.isEmpty { Swift.print(output) }
        fflush(nil)
    }
}

/// Aligned columns with a heading.
struct Table {
    enum Alignment {
        case left
        case right
    }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    init(_ columns: (String, Alignment)...) {
        self.columns = columns.map { ($0.0, $0.1) }
    }

    init(_ columns: [(String, Alignment)]) {
        self.columns = columns.map { ($0.0, $0.1) }
    }

    mutating func add(_ cells: String...) { add(cells) }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count)
        rows.append(cells)
    }

    var text: String {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                if index > 0 { line += "  " }
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                switch columns[index].alignment {
                case .right: line += padding + cell
                case .left where index == row.count - 1: line += cell
                case .left: line += cell + padding
                }
            }
            return line
        }.joined(separator: "\n")
    }
}

/// Formats numbers and vectors for people.
enum Show {
    /// With six significant digits. `--json` prints all digits.
    static func number(_ value: Double?) -> String {
        guard let value else { return "-" }
        return String(format: "%.6g", value)
    }

    static func vector(_ values: [Float]?) -> String {
        guard let values else { return "-" }
        return "[" + values.map { NumberText.text($0) }.joined(separator: ",") + "]"
    }

    /// Rounded to hundredths of a second.
    static func seconds(_ seconds: Double) -> String {
        String(format: "%.2f", seconds)
    }

    /// 1234567 as 1,234,567.
    static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// 1 as "1 line", 1000 as "1,000 lines".
    static func lines(_ count: Int) -> String {
        "\(Self.count(count)) \(count == 1 ? "line" : "lines")"
    }

    /// JSON from the daemon, with escapes in place of the control characters that JSON allows and some terminals obey.
    static func json(_ json: String) -> String {
        guard json.unicodeScalars.contains(where: { (0x7F...0x9F).contains($0.value) }) else { return json }
        return json.unicodeScalars.reduce(into: "") { text, scalar in
            if (0x7F...0x9F).contains(scalar.value) {
                text += "\\u00" + String(scalar.value, radix: 16)
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }

    /// 75.3 as 1:15, and less than a minute as 7 s. "?" from 100 hours.
    static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 360_000 else { return "?" }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60)
        let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }
}
