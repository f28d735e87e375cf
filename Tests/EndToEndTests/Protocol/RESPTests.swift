import Foundation
import TestSupport
import Testing

/// What only RESP has. `TranscriptTests` replays the conversations of lines over RESP.
@Suite("RESP", .timeLimit(.minutes(5)))
struct RESPTests {
    private let directory: TemporaryDirectory
    private let daemon: DaemonProcess
    private let lines: LineSocket
    private let resp: RESPSocket

    init() throws {
        directory = try TemporaryDirectory()
        daemon = try DaemonProcess(directory: directory)
        lines = try daemon.connect()
        resp = try RESPSocket(to: daemon.tcp, version: 2)
        guard try lines.ask("CREATE c dim=2").header == "OK 0" else { throw HarnessError("there is no collection") }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func request(_ words: String...) -> [UInt8] { RESPSocket.request(words.map(bytes)) }

    private func answer(_ words: String...) throws -> RESPSocket.Value {
        try resp.send(words.map(bytes))
        return try resp.readValue()
    }

    @Test("the replies before HELLO have the earlier version")
    func helloKeepsTheOrder() throws {
        let observe = request("OBSERVE", "c", "-", "return=logq", "a")
        try resp.send(raw: observe + request("HELLO", "3") + observe + request("RESET") + request("LOGQ", "c", "a"))
        let row = [RESPSocket.Value.bytes(bytes("a")), .bytes(bytes("0")), .bytes(bytes("once"))]
        #expect(try resp.readValue() == .list([.list(row)]))
        guard case .map = try resp.readValue() else { throw HarnessError("HELLO 3 is not answered by a map") }
        #expect(try resp.readValue() == .list([.list([row[0], .word("0"), .bytes(bytes("seen"))])]))
        #expect(try resp.readValue() == .word("RESET"))
        #expect(try resp.readValue() == .list([.list([row[0], row[1], .bytes(bytes("seen"))])]))
        try daemon.stop()
    }

    @Test("an id of any bytes is the same in lines and in RESP")
    func idsAgree() throws {
        for byte in UInt8.min...UInt8.max {
            let hex = String(byte, radix: 16, uppercase: true)
            let escape = "%" + (hex.count < 2 ? "0" : "") + hex
            try resp.send([bytes("PUT"), bytes("c"), [byte, 0x78], bytes("[\(byte),1]")])
            #expect(try resp.readValue() == .word("OK"))
            let rows = try lines.ask("GET c \(escape)x").rows
            #expect(rows.count == 1 && rows[0].hasSuffix(" [\(byte),1]"), "\(rows)")
            #expect(try lines.ask("PUT c \(escape)y [1,\(byte)]").header == "OK 0")
            try resp.send([bytes("GET"), bytes("c"), [byte, 0x79]])
            #expect(try resp.readValue() == .list([.list([.bytes([byte, 0x79]), .bytes(bytes("[1,\(byte)]"))])]))
        }
        try daemon.stop()
    }

    @Test("what is not RESP ends the connection, after the earlier replies")
    func brokenFraming() throws {
        #expect(try lines.ask("PUT c a [1,2]").header == "OK 0")
        try resp.send(raw: bytes("*0\r\n") + request("DEL", "c", "a") + bytes("PING\r\n") + request("DROP", "c"))
        let words = "got a request without words, expected a verb (HELP lists them)"
        #expect(try resp.readValue() == .error("BADREQUEST \(words)"))
        #expect(try resp.readValue() == .list([.list([.bytes(bytes("a")), .word("1")])]))
        #expect(try resp.readValue() == .error("BADREQUEST got 'P' as the first byte of a request, expected '*'"))
        try resp.expectEnd()
        #expect(try lines.ask("GET c a").rows == ["a -"])
        try daemon.stop()
    }

    @Test("clients of Redis can connect")
    func connecting() throws {
        #expect(try answer("PING") == .word("PONG"))
        #expect(try answer("ping", "a=b") == .bytes(bytes("a=b")))
        #expect(try answer("ECHO", "--") == .bytes(bytes("--")))
        #expect(try answer("SELECT", "0") == .word("OK"))
        #expect(
            try answer("SELECT", "1")
                == .error("BADREQUEST got database '1', expected 0: collections have names, not numbers")
        )
        #expect(try answer("CLIENT", "SETINFO", "LIB-NAME", "x") == .word("OK"))
        #expect(try answer("CLIENT", "GETNAME") == .null)
        #expect(try answer("CLIENT", "SETNAME", "me") == .word("OK"))
        #expect(try answer("client", "getname") == .bytes(bytes("me")))
        #expect(try answer("CLIENT", "SETNAME", "a b").isError("BADREQUEST got name 'a b'"))
        #expect(try answer("CLIENT", "KILL").isError("BADREQUEST got 'KILL' after CLIENT"))
        #expect(try answer("HELLO", "4") == .error("BADREQUEST got version '4', expected 2 or 3"))
        #expect(try answer("HELLO", "3", "AUTH", "a", "b").isError("BADREQUEST got AUTH, expected none"))
        #expect(try answer("AUTH", "x").isError("UNKNOWN got 'AUTH'"))
        #expect(try answer("COMMAND", "COUNT") == .word("30"))
        guard case .list(let help) = try answer("HELP") else { throw HarnessError("HELP is no list") }
        #expect(help.count == 30 && help.contains(.bytes(bytes("ECHO text -- answer the text"))))
        guard case .list(let commands) = try answer("COMMAND", "INFO", "put", "nope") else {
            throw HarnessError("COMMAND INFO is no list")
        }
        #expect(commands.count == 2 && commands[1] == .null)
        guard case .bytes(let info) = try answer("INFO", "requests") else { throw HarnessError("INFO is no text") }
        #expect(String(decoding: info, as: UTF8.self).contains("verb_PING:requests=2 errors=0\r\n"))
        #expect(try answer("RESET") == .word("RESET"))
        #expect(try answer("CLIENT", "GETNAME") == .null)
        #expect(try answer("QUIT") == .word("OK"))
        try resp.expectEnd()
        try daemon.stop()
    }
}

extension RESPSocket.Value {
    fileprivate func isError(_ beginning: String) -> Bool {
        guard case .error(let message) = self else { return false }
        return message.hasPrefix(beginning)
    }
}
