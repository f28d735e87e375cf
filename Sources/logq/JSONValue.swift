import LogQClient
import WireProtocol

/// A JSON value to print. Objects keep the order of their keys, and numbers print as the protocol prints them: the shortest
/// decimal that reads back the same.
enum JSONValue: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    /// JSON from the daemon, printed as it is.
    case raw(String)
    /// A vector; float32 has shorter decimals than the same number as float64.
    case vector([Float])
    case array([JSONValue])
    case object([(String, JSONValue)])

    static func == (left: JSONValue, right: JSONValue) -> Bool { left.text == right.text }

    init(_ number: Double?) { self = number.map { .number($0) } ?? .null }

    init(_ integer: Int) { self = .integer(Int64(integer)) }

    /// An id as a string; one that is no UTF-8 as `{"percent": "%FF"}`.
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
        case .raw(let value): text += value
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
            case "\u{0}"..."\u{1F}", "\u{7F}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension ItemID {
    /// As the protocol writes it, but for bytes that are no UTF-8 too: fit for any terminal.
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

    /// For people: the text, or, where a control character could disturb the terminal, the encoded bytes.
    var shown: String {
        guard let text, !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            return percentEncoded
        }
        return text
    }
}
