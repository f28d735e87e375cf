import Foundation
import Logging
import SystemSupport

/// The form of the log.
enum LogFormat: String, CaseIterable {
    /// `2026-01-31T12:00:00.000Z info ready addresses=127.0.0.1:5647 pid=4242`
    case text
    /// One object a line: `{"time":"…","level":"info","message":"ready","addresses":"127.0.0.1:5647","pid":"4242"}`.
    /// All values are strings.
    case json
}

/// Writes each event of the log as one line of bounded length to standard error.
struct LineLogHandler: LogHandler {
    /// A message or a value is cut after this many bytes.
    static let textBytesMax = 4_096
    static let valuesMax = 64

    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(format: LogFormat, logLevel: Logger.Level) {
        self.format = format
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let bytes = Array((line(event, at: Date()) + "\n").utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress! + sent, bytes.count - sent) }
            if count < 0, errno == EINTR { continue }
            // There is no other place to report that the log cannot be written.
            guard count > 0 else { return }
            sent += count
        }
    }

    func line(_ event: LogEvent, at date: Date) -> String {
        let time = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        if let error = event.error { values["error"] = "\(error)" }
        let named = values.sorted { $0.key < $1.key }.prefix(Self.valuesMax).map { ($0.key, Self.cut("\($0.value)")) }
        let message = Self.cut("\(event.message)")
        switch format {
        case .text:
            let spelled = named.map { " \($0.0)=\(Self.isPlain($0.1) ? $0.1 : Self.json($0.1))" }.joined()
            let isClean = !message.unicodeScalars.contains { $0.properties.generalCategory == .control }
            return "\(time) \(event.level) \(isClean ? message : Self.json(message))\(spelled)"
        case .json:
            let all = [("time", time), ("level", "\(event.level)"), ("message", message)] + named
            return "{" + all.map { "\(Self.json($0.0)):\(Self.json($0.1))" }.joined(separator: ",") + "}"
        }
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > textBytesMax else { return text }
        return String(decoding: text.utf8.prefix(textBytesMax), as: UTF8.self) + "..."
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                !$0.properties.isWhitespace && $0.properties.generalCategory != .control && $0 != "\""
            }
    }

    private static func json(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let data = try? encoder.encode(text) else { return "\"\"" }
        return String(decoding: data, as: UTF8.self)
    }
}
