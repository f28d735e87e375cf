import Foundation

/// The progress display of `load`: a bar on a terminal, or a line every ten seconds elsewhere.
struct Progress {
    private let isTerminal: Bool
    private let write: (String) -> Void
    private let start: ContinuousClock.Instant
    private var lastShown: ContinuousClock.Instant
    private var isBarShown = false

    init(
        isTerminal: Bool = isatty(STDERR_FILENO) == 1,
        now: ContinuousClock.Instant = .now,
        write: @escaping (String) -> Void = { FileHandle.standardError.write(Data($0.utf8)) }
    ) {
        self.isTerminal = isTerminal
        self.write = write
        start = now
        lastShown = now
    }

    /// Shows the progress. `share` is the part of the input that is done, 0 to 1, or nil if it is unknown.
    mutating func update(items: Int, share: Double?, now: ContinuousClock.Instant = .now) {
        guard now - lastShown >= (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
        lastShown = now
        let line = Progress.line(items: items, share: share, seconds: (now - start) / .seconds(1), hasBar: isTerminal)
        isBarShown = isTerminal
        // Return to the start of the line, write the new text, and erase the rest of the old text.
        write(isTerminal ? "\r\(line)\u{1B}[K" : line + "\n")
    }

    /// Removes the bar, so that the next output begins at the start of the line.
    mutating func clear() {
        if isBarShown { write("\r\u{1B}[K") }
        isBarShown = false
    }

    static func line(items: Int, share: Double?, seconds: Double, hasBar: Bool) -> String {
        let rate = seconds > 0 ? Double(items) / seconds : 0
        let done = "\(Show.count(items)) items  \(Show.count(Int(rate)))/s"
        guard let share else { return done }
        let percent = "\(Int(share * 100)) %"
        let left = share > 0 ? "  \(Show.duration(seconds / share * (1 - share))) left" : ""
        guard hasBar else { return "\(percent)  \(done)\(left)" }
        let width = 30
        let filled = min(width, Int(share * Double(width)))
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        return "[\(bar)] \(percent)  \(done)\(left)"
    }
}
