import LogQClient
import WireProtocol

/// A JSON value to print. Objects keep the order of their keys. Numbers are written as in the protocol: the shortest
/// decimal that reads back as the same number.
enum JSONValue: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    /// JSON from the daemon, with its control characters escaped.
    case raw(String)
    /// A vector, kept as float32 because the same number as float64 would have a longer decimal form.
    case vector([Float])
    case array([JSONValue])
    case object([(String, JSONValue)])

    static func == (left: JSONValue, right: JSONValue) -> Bool { left.text == right.text }

    init(_ number: Double?) { self = number.map { .number($0) } ?? .null }

    init(_ integer: Int) { self = .integer(Int64(integer)) }

    /// An id as a string, or as `{"percent": "%FF"}` if it is not UTF-8.
    init(_ id: ItemID) {
        self = id.text.map { .string($0) } ?? .object([("percent", .string(id.percentEncoded))])
    }

    var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value.isFinite ? NumberText.text(value) : "null"
        case .string(let value): JSONValue.quote(value, to: &text)
        case .raw(let value): text += Show.json(value)
        case .vector(let values):
            text += "["
            text += values.map { NumberText.text($0) }.joined(separator: ",")
            text += "]"
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, (name, value)) in members.enumerated() {
                if index > 0 { text += "," }
                JSONValue.quote(name, to: &text)
                text += ":"
                value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func quote(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension ItemID {
    /// The protocol's form, with all bytes above ASCII encoded as well, so that any terminal can print it.
    var percentEncoded: String {
        var text = ""
        for byte in bytes {
            if IDText.isReserved(byte) || byte >= 0x80 {
                let hex = String(byte, radix: 16, uppercase: true)
                text += "%" + (hex.count < 2 ? "0" : "") + hex
            } else {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return text
    }

    /// The id for display: its text, or its percent-encoded bytes if it is not UTF-8 or has a control character.
    var shown: String {
        guard let text, !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            return percentEncoded
        }
        return text
    }
}
