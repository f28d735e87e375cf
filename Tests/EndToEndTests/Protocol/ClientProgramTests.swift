import Foundation
import TestSupport
import Testing

/// The programs of PROTOCOL.md, "A client in an afternoon", run as they stand there and print what the page says.
@Suite("The client programs of PROTOCOL.md", .timeLimit(.minutes(10)))
struct ClientProgramTests {
    /// The raw value is the word after the fence of the program.
    enum Language: String, CaseIterable, Sendable {
        case python, go, java, c, javascript

        /// Prints the version of the toolchain.
        var versionCommand: [String] {
            switch self {
            case .python: ["python3", "--version"]
            case .go: ["go", "version"]
            case .java: ["javac", "--version"]
            case .c: ["cc", "--version"]
            case .javascript: ["node", "--version"]
            }
        }

        /// The first line that the toolchain says about itself. It is nil if there is no toolchain.
        var toolchain: String? {
            let output = try? Program.output(of: versionCommand)
            return output.map { String($0.prefix { $0 != "\n" }) }
        }

        var fileName: String {
            switch self {
            case .python: "client.py"
            case .go: "client.go"
            case .java: "Client.java"
            case .c: "client.c"
            case .javascript: "client.mjs"
            }
        }

        /// Builds the program in `folder`, if its language needs that, and returns the command that runs it.
        func command(in folder: String) throws -> [String] {
            let file = "\(folder)/\(fileName)"
            switch self {
            case .python: return ["python3", file]
            case .go:
                _ = try Program.output(of: [
                    "env", "GOCACHE=\(folder)/cache", "go", "build", "-o", "\(folder)/go", file,
                ])
                return ["\(folder)/go"]
            case .java:
                _ = try Program.output(of: ["javac", "-Xlint:all", "-Werror", "-d", folder, file])
                return ["java", "-cp", folder, "Client"]
            case .c:
                let options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "\(folder)/c"]
                _ = try Program.output(of: ["cc"] + options + [file])
                return ["\(folder)/c"]
            case .javascript: return ["node", file]
            }
        }
    }

    private static let installed = Language.allCases.filter { $0.toolchain != nil }
    private let section: ProtocolDocument.ClientSection

    init() throws {
        section = try ProtocolDocument.ClientSection()
    }

    @Test("the page has one program for each language, and the test says which of them run here")
    func everyLanguageHasAProgram() {
        #expect(section.programs.map(\.language).sorted() == Language.allCases.map(\.rawValue).sorted())
        #expect(section.requests.count == 7, "\(section.requests)")
        #expect(section.output.hasSuffix("\nNOCOLLECTION there is no collection 'nowhere'\n"), "\(section.output)")
        for program in section.programs {
            for request in section.requests {
                #expect(program.text.contains("\"\(request)\""), "the \(program.language) program does not send it")
            }
        }
        for language in Language.allCases {
            let toolchain = language.toolchain
            let verdict =
                toolchain.map { "runs with \($0)" } ?? "DOES NOT RUN: there is no \(language.versionCommand[0])"
            print("PROTOCOL.md: the \(language.rawValue) program \(verdict)")
        }
    }

    @Test("a program prints what the page says", arguments: installed)
    func printsWhatThePageSays(language: Language) throws {
        let directory = try TemporaryDirectory()
        let folder = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let program = try #require(section.programs.first { $0.language == language.rawValue })
        let parts = program.text.components(separatedBy: "5647")
        try #require(parts.count == 2, "the program must name the port 5647 once")
        let text = parts.joined(separator: "\(daemon.port)")
        try text.write(toFile: "\(folder.path)/\(language.fileName)", atomically: true, encoding: .utf8)
        let output = try Program.output(of: try language.command(in: folder.path))
        #expect(output == section.output)
        try daemon.stop()
    }

    /// A server that sends the reply of the first request byte by byte, and half of the reply of the second.
    private static let endingServer = """
        import socket, sys
        server = socket.create_server(("127.0.0.1", 0))
        print(server.getsockname()[1], file=sys.stderr, flush=True)
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        requests = connection.makefile("rb")
        for reply in (b"OK 0\\n", b"OK 2\\none row\\nhalf a r"):
            requests.readline()
            for byte in reply:
                connection.sendall(bytes([byte]))
        """

    @Test(
        "a program fails if the connection ends within a reply",
        .enabled(if: Language.python.toolchain != nil, "python3 is missing"),
        arguments: installed
    )
    func failsIfTheConnectionEnds(language: Language) throws {
        let folder = try TemporaryDirectory()
        let server = try ChildProcess(["/usr/bin/env", "python3", "-c", Self.endingServer])
        let port = try server.waitForErrorLine(within: 60, for: "the port") { UInt16($0) != nil }
        let program = try #require(section.programs.first { $0.language == language.rawValue })
        let text = program.text.replacing("5647", with: port)
        try text.write(toFile: "\(folder.path)/\(language.fileName)", atomically: true, encoding: .utf8)
        let child = try ChildProcess(["/usr/bin/env"] + (try language.command(in: folder.path)))
        let status = try child.waitForExit(within: 60)
        #expect(status == .exited(1), "\(status): \(child.output)\(child.errorOutput)")
        #expect(child.errorOutput.contains("the connection ended"), "\(child.errorOutput)")
        #expect(!child.output.contains("half"), "half a row counts as a row: \(child.output)")
    }
}
