import Foundation
import TestSupport

/// A row of `SAMPLE` without additional columns.
struct SampleRow: Hashable {
    var id: String
    var q: Double
    var expected: Double

    init(_ line: String) throws {
        let words = line.split(separator: " ")
        guard words.count == 3, let q = Double(words[1]), let expected = Double(words[2]) else {
            throw HarnessError("no row of SAMPLE: \(line)")
        }
        self.id = String(words[0])
        self.q = q
        self.expected = expected
    }
}

extension LineSocket {
    func sample(_ request: String) throws -> [SampleRow] {
        let reply = try ask("SAMPLE " + request)
        guard reply.header.hasPrefix("OK") else { throw HarnessError("SAMPLE \(request): \(reply.header)") }
        return try reply.rows.map { try SampleRow($0) }
    }

    /// Sends the requests, several of them in flight, and passes on the ids of each reply.
    func sampleIDs(_ requests: [String], _ body: ([String]) throws -> Void) throws {
        let depth = 4
        for (number, request) in requests.enumerated() {
            try send(Array("SAMPLE \(request)\n".utf8))
            if number >= depth - 1 { try readIDs(body) }
        }
        for _ in 0..<min(depth - 1, requests.count) { try readIDs(body) }
    }

    private func readIDs(_ body: ([String]) throws -> Void) throws {
        let header = String(decoding: try readLine(), as: UTF8.self)
        guard header.hasPrefix("OK"), let count = Self.rowCount(of: header) else { throw HarnessError(header) }
        var ids: [String] = []
        ids.reserveCapacity(count)
        for _ in 0..<count {
            let line = try readLine()
            ids.append(String(decoding: line.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self))
        }
        try body(ids)
    }

    /// Sends one or more writes, one in each line, and expects that all succeed.
    func write(_ requests: [String]) throws {
        try send(Array(requests.map { $0 + "\n" }.joined().utf8))
        for request in requests {
            let reply = try readReply()
            guard reply.header.hasPrefix("OK") else { throw HarnessError("\(request): \(reply.header)") }
        }
    }
}
