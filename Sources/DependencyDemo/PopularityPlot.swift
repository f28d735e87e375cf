internal import Foundation

/// The popularity curve in block characters: the number of observations of the n-th most frequent dependency. Both axes
/// are logarithmic, so a power law is a straight line.
struct PopularityPlot {
    private static let width = 60
    private static let height = 8
    private static let eighths: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

    let lines: [String]

    init(counts: [Double]) {
        let sorted = counts.filter { $0 > 0 }.sorted(by: >)
        guard let most = sorted.first else {
            lines = []
            return
        }
        // A column's bar shows the count at the column's rank. A count of 1 is one eighth of a line.
        let heights = (0..<Self.width).map { column in
            let rank = pow(Double(sorted.count), Double(column) / Double(Self.width - 1))
            let count = sorted[min(sorted.count - 1, Int(rank.rounded()) - 1)]
            let full = most > 1 ? log(count) / log(most) : 1
            return 1 + Int((full * Double(Self.height * 8 - 1)).rounded())
        }
        let labelWidth = max(Int(most).grouped.count, 3)
        var lines = (0..<Self.height).map { line in
            let floor = (Self.height - 1 - line) * 8
            let bar = heights.map { Self.eighths[min(8, max(0, $0 - floor))] }
            let label = line == 0 ? Int(most).grouped : line == Self.height - 1 ? "1" : ""
            return String(repeating: " ", count: labelWidth - label.count) + label + " │" + String(bar)
        }
        let last = sorted.count.grouped
        let dashes = String(repeating: "─", count: Self.width)
        let gap = String(repeating: " ", count: Self.width - last.count - 1)
        lines.append(String(repeating: " ", count: labelWidth) + " └" + dashes)
        lines.append(String(repeating: " ", count: labelWidth + 2) + "1" + gap + last)
        self.lines = lines
    }
}
