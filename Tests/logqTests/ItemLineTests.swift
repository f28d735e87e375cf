import Foundation
import LogQClient
import Testing

@testable import logq

@Suite struct ItemLineTests {
    private func parse(_ text: String) throws -> ItemLine {
        try Array(text.utf8).withUnsafeBytes { try ItemLine(parsing: $0) }
    }

    private func problem(_ text: String) -> String? {
        do {
            _ = try parse(text)
            return nil
        } catch {
            return (error as? BadLine)?.message
        }
    }

    @Test func lines() throws {
        let full = try parse(#"{"id": "sku-1", "vector": [0.1, -2, 3e-2], "features": {"a": [1, {"b": "}"}]}}"#)
        #expect(full.id == "sku-1")
        #expect(full.vector == [0.1, -2, 0.03])
        #expect(full.features == #"{"a": [1, {"b": "}"}]}"#)
        let bare = try parse(#" { "vector":[1],"id":"a" } "# + "\r")
        #expect(bare.id == "a" && bare.vector == [1] && bare.features == nil)
        #expect(try parse(#"{"id":"a","vector":"f32:AACAPwAAAAA=","features":null}"#).vector == [1, 0])
        #expect(try parse(#"{"id":-42,"vector":[1]}"#).id == "-42")
        let only = try parse(#"{"id":"a","features":{"x":1}}"#)
        #expect(only.vector == nil && only.features == #"{"x":1}"#)
        #expect(try parse(#"{"id":"a","vector":null,"features":{}}"#).vector == nil)
        #expect(try parse(#"{"id":"a","vector":[1],"features":{"q":"\"}{\\"}}"#).features == #"{"q":"\"}{\\"}"#)
    }

    @Test func escapesInIDs() throws {
        #expect(try parse(#"{"id":"a\n\t\"\\\/\b\f\r","vector":[1]}"#).id == "a\n\t\"\\/\u{8}\u{C}\r")
        #expect(try parse(#"{"id":"\u00e9\ud83d\ude00x","vector":[1]}"#).id == "é😀x")
        #expect(try parse(#"{"\u0069d":"a","vector":[1]}"#).id == "a")
    }

    @Test(arguments: [
        (#""#, "got the end of the line, expected an object, '{' (--help shows how to convert other formats)"),
        (#"[1]"#, "got '[1]' at column 1, expected an object, '{' (--help shows how to convert other formats)"),
        (#"{}"#, "got no id"),
        (#"{"id":"a"}"#, "got neither a vector nor features"),
        (#"{"id":"a","vector":null,"features":null}"#, "got neither a vector nor features"),
        (#"{"id":"a","vector":[1],"vector":null}"#, "got the key 'vector' twice"),
        // No byte of a file that a terminal could obey is shown as it is.
        (
            "\u{1B}[2J{}",
            "got '%1B[2J{}' at column 1, expected an object, '{' (--help shows how to convert other formats)"
        ),
        ("{\"\u{1B}]0;x\u{7}\u{9B}\":1}", "got the key '%1B]0;x%07%C2%9B', expected id, vector or features"),
        ("{\"a\\u001b\" 1}", "got '1}' at column 12, expected ':' after the key 'a%1B'"),
        (#"{"vector":[1]}"#, "got no id"),
        (#"{"id":"a","vector":[1]} x"#, "got 'x' at column 25, expected the end of the line"),
        (#"{"id":"a","vector":[1],"vec":[2]}"#, "got the key 'vec', expected id, vector or features"),
        (#"{"id":"a","id":"b","vector":[1]}"#, "got the key 'id' twice"),
        (#"{"id":"a","vector":[1]"#, "got the end of the line, expected ',' or '}'"),
        (#"{"id":"a","vector":[1,"#, "got the end of the line, expected ']' at the end of the vector"),
        (
            #"{"id":"a","vector":{}}"#,
            "got '{}}' at column 20, expected a vector: an array of numbers, or a string f32:…"
        ),
        (#"{"id":1.5,"vector":[1]}"#, "got '1.5,\"vector\":[1]}' at column 7, expected an id: a string or an integer"),
        (#"{"id":"a","vector":[1],"features":[1]}"#, "got '[1]}' at column 35, expected features: an object or null"),
        (#"{"id":"a","vector":[1],"features":{"x":1}"#, "got the end of the line, expected ',' or '}'"),
        (
            #"{"id":"a","vector":[1],"features":{"x":1"#,
            "got the end of the line, expected '}' at the end of the features"
        ),
        (#"{"id":"a\x","vector":[1]}"#, "got '\\x\",\"vector\":[1]}' at column 9, expected an escape of JSON"),
        (#"{"id":"\ud83d","vector":[1]}"#, "got '\",\"vector\":[1]}' at column 14, expected a surrogate pair before"),
        (#"{"id":"a"#, "got the end of the line, expected the end of a string"),
        (#"{id:"a"}"#, "got 'id:\"a\"}' at column 2, expected a string"),
    ])
    func badLines(text: String, message: String) {
        #expect(problem(text) == message)
    }

    @Test(arguments: ["[1,,2]", "[nan]", "[1e39]", "[true]", "[]]", "\"f32:A\"", "\"x\"", "[1 2]"])
    func badVectors(vector: String) {
        #expect(problem("{\"id\":\"a\",\"vector\":\(vector)}") != nil)
    }

    @Test func anyTruncationIsAnErrorAndNoCrash() throws {
        let text = #"{"id": "a\u00e9\n", "vector": [0.5, 1], "features": {"x": "\\"}}"#
        let bytes = Array(text.utf8)
        _ = try parse(text)
        for count in 0..<bytes.count {
            #expect(throws: BadLine.self) {
                try bytes[..<count].withUnsafeBytes { try ItemLine(parsing: $0) }
            }
        }
    }
}

@Suite struct LineReaderTests {
    private func read(_ text: String, pieceByteCount: Int) throws -> [String] {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        try pipe.fileHandleForWriting.close()
        var reader = LineReader(pipe.fileHandleForReading, pieceByteCount: pieceByteCount)
        var lines: [String] = []
        var hasMore = true
        while hasMore {
            hasMore = try reader.readPiece { number, line in
                lines.append("\(number):\(String(decoding: line, as: UTF8.self))")
            }
        }
        #expect(reader.byteCountRead == text.utf8.count)
        return lines
    }

    @Test func linesAreTheSameForAnyPiece() throws {
        for pieceByteCount in 1...20 {
            #expect(try read("a\n\nbcdef\nlast", pieceByteCount: pieceByteCount) == ["1:a", "2:", "3:bcdef", "4:last"])
            #expect(try read("a\nb\n", pieceByteCount: pieceByteCount) == ["1:a", "2:b"])
            #expect(try read("", pieceByteCount: pieceByteCount) == [])
            #expect(try read("\n", pieceByteCount: pieceByteCount) == ["1:"])
        }
    }

    @Test func aFileHasASizeAndAMissingFileIsAnError() throws {
        let path = "/tmp/logq-lines-\(UInt32.random(in: 0...(.max)))"
        try Data("a\n".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try LineReader(path: path).byteCountTotal == 2)
        #expect(throws: Failure(.noInput, "could not read /tmp/no/such/file: no such file or directory")) {
            try LineReader(path: "/tmp/no/such/file")
        }
    }
}
