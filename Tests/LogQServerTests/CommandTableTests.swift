import Foundation
import NIOCore
import Testing
import WireProtocol

@testable import LogQServer

struct CommandTableTests {
    private let parser = RequestParser(CommandTable.syntaxes, limits: Limits())

    private func parse(_ line: String) throws -> Request {
        try Array(line.utf8).withUnsafeBytes { try parser.parse($0) }
    }

    @Test func namesEachVerbOnce() {
        let names = CommandTable.commands.map(\.syntax.name)
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0 == $0.uppercased() && $0.utf8.count <= 16 })
    }

    @Test func everyExampleIsARequestOfItsVerb() throws {
        for command in CommandTable.commands {
            let request = try parse(command.example)
            #expect(CommandTable.commands[request.verb].syntax.name == command.syntax.name)
        }
    }

    @Test func everythingIsExplained() {
        for command in CommandTable.commands {
            #expect(!command.summary.isEmpty)
            #expect(!command.summary.hasSuffix("."))
            for option in command.syntax.options { #expect(!option.help.isEmpty && !option.placeholder.isEmpty) }
        }
    }

    /// Too few words say how many there were, and the usage.
    @Test func everyVerbSaysWhatItExpects() throws {
        for command in CommandTable.commands {
            let syntax = command.syntax
            let fixed = syntax.arguments.filter {
                if case .optionalWord = $0 { false } else { true }
            }
            if fixed.isEmpty {
                if syntax.arguments.isEmpty {
                    #expect { try parse(syntax.name + " x") } throws: { "\($0)".hasSuffix("expected \(syntax.usage)") }
                }
            } else {
                #expect { try parse(syntax.name) } throws: {
                    "\($0)" == "BADREQUEST got 0 words after \(syntax.name), expected \(syntax.usage)"
                }
            }
            #expect(throws: WireError.self) { try parse("\(syntax.name) c 1 nope=1") }
        }
    }

    /// PROTOCOL.md is the normative text: its usage lines are the table's, no more and no fewer.
    @Test func usageLinesAreThoseOfTheProtocol() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "protocol/PROTOCOL.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let usages = text.components(separatedBy: "```usage\n").dropFirst().map { $0.prefix { $0 != "\n" } }
        #expect(usages.count > 15)
        #expect(Set(usages.map(String.init)) == Set(CommandTable.syntaxes.map(\.usage)))
    }
}
