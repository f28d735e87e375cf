internal import Foundation
import SystemSupport

/// The progress display: a bar on a terminal, occasional lines elsewhere.
///
/// It writes to standard error, so that standard output holds only the results.
struct ProgressBar {
    private static let width = 32

    private let title: String
    private let isTerminal: Bool
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private var nextQuarter = 1

    init(_ title: String) {
        self.title = title
        isTerminal = isatty(STDERR_FILENO) == 1
        draw(0, "")
    }

    /// Shows the part of the work that is done, 0 to 1, and then `words`.
    mutating func update(_ share: Double, _ words: @autoclosure () -> String) {
        if isTerminal {
            if let lastDrawn, ContinuousClock.now - lastDrawn < .milliseconds(80), share < 1 { return }
            lastDrawn = .now
            draw(share, words())
        } else if share < 1, share >= Double(nextQuarter) / 4 {
            nextQuarter = Int(share * 4) + 1
            write("\(title): \(Int(share * 100)) %  \(words())\n")
        }
    }

    /// Replaces the bar with one line that reports the result.
    func finish(_ words: String) {
        let seconds = (ContinuousClock.now - start).inSeconds
        write("\(isTerminal ? "\r\u{1B}[K" : "")\(title): \(words), \(seconds.rounded(to: 1)) s\n")
    }

    /// Removes an unfinished bar.
    static func clear() {
        if isatty(STDERR_FILENO) == 1 { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }

    private func draw(_ share: Double, _ words: String) {
        guard isTerminal else { return }
        let full = Int(share * Double(Self.width))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: Self.width - full)
        let elapsed = (ContinuousClock.now - start).inSeconds
        let left = share > 0.02 ? ", \((elapsed / share - elapsed).rounded(to: 0)) s left" : ""
        write("\r\u{1B}[K\(title) \(bar) \(Int(share * 100)) %  \(words)\(left)")
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Double {
    /// The number with this many digits after the point.
    func rounded(to digits: Int) -> String { String(format: "%.\(digits)f", self) }
}

extension Int {
    /// 277181 as "277,181".
    var grouped: String {
        var text = String(magnitude)
        var place = text.count - 3
        while place > 0 {
            text.insert(",", at: text.index(text.startIndex, offsetBy: place))
            place -= 3
        }
        return self < 0 ? "-" + text : text
    }
}
