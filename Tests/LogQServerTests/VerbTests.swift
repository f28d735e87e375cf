import Foundation
import NIOCore
import Testing
import WireProtocol

@testable import LogQServer

struct VerbTests {
    private let parser = RequestParser(Verbs.all.map(\.syntax), limits: Limits())

    private func parse(_ line: String) throws -> Request {
        try Array(line.utf8).withUnsafeBytes { bytes in
            do throws(RefusedRequest) {
                return try parser.parse(bytes)
            } catch {
                throw error.error
            }
        }
    }

    @Test func namesEachVerbOnce() {
        let names = Verbs.all.map(\.syntax.name)
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0 == $0.uppercased() && $0.utf8.count <= 16 })
    }

    @Test func namesEachOptionOfAVerbOnce() {
        for verb in Verbs.all {
            let names = verb.syntax.options.map(\.name)
            #expect(Set(names).count == names.count)
            #expect(names.allSatisfy { $0 == $0.lowercased() })
        }
    }

    @Test func everyExampleIsARequestOfItsVerb() throws {
        for verb in Verbs.all {
            let request = try parse(verb.example)
            #expect(Verbs.all[request.verb].syntax.name == verb.syntax.name)
        }
    }

    @Test func everythingIsExplained() {
        for verb in Verbs.all {
            #expect(!verb.summary.isEmpty)
            #expect(!verb.summary.hasSuffix("."))
            for option in verb.syntax.options { #expect(!option.help.isEmpty && !option.placeholder.isEmpty) }
        }
    }

    /// Only the verbs that make, remove or rename whole collections, or set their clock, need the access of an
    /// administrator.
    @Test func everyVerbStatesItsAccess() {
        func names(_ access: Verb.Access) -> Set<String> {
            Set(Verbs.all.filter { $0.access == access }.map(\.syntax.name))
        }
        #expect(names(.admin) == ["CREATE", "DROP", "SWAP", "CLOCKSET"])
        #expect(names(.write) == ["PUT", "DEL", "FSET", "OBSERVE", "FREQSET"])
        // No verb that changes items or collections has the access to read.
        for verb in Verbs.all where verb.access == .read {
            if case .change = verb.action { Issue.record("\(verb.syntax.name) writes") }
        }
    }

    /// The error for too few words gives their number and the usage.
    @Test func everyVerbStatesTheExpectedWords() throws {
        for verb in Verbs.all {
            let syntax = verb.syntax
            if syntax.arguments.allSatisfy(\.isOptional) {
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

    /// PROTOCOL.md is normative: its usage lines are exactly those of the table.
    @Test func usageLinesAreThoseOfTheProtocol() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "protocol/PROTOCOL.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let usages = text.components(separatedBy: "```usage\n").dropFirst().map { $0.prefix { $0 != "\n" } }
        #expect(usages.count > 15)
        #expect(Set(usages.map(String.init)) == Set(Verbs.all.map(\.syntax).map(\.usage)))
    }
}
