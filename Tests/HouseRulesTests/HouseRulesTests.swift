import Foundation
import Testing

/// Checks the sources against the house rules. Every failure names the file and the violation.
@Suite struct HouseRulesTests {
    let house = House()
    let rules = Dictionary(uniqueKeysWithValues: houseRules.map { ($0.name, $0) })

    @Test func everyModuleHasARule() throws {
        #expect(Set(try house.entries(of: "Sources")) == Set(rules.keys).union(["README.md"]))
    }

    @Test func importsAreAllowed() throws {
        let files = try house.sourceFiles(under: "Sources", extensions: ["swift"])
        #expect(files.count > 20)
        for file in files {
            let rule = try #require(rules[file.module], "\(file.path) belongs to no module of the table")
            for imported in file.imports {
                if let objection = rule.objection(toImporting: imported) { Issue.record("\(file.path): \(objection)") }
            }
            #expect(file.lineNumbers(using: "testable") == [], "\(file.path): @testable is for tests")
        }
    }

    @Test func cModulesStandAlone() throws {
        let files = try house.sourceFiles(under: "Sources", extensions: ["c", "h", "S"])
        for file in files {
            let rule = try #require(rules[file.module], "\(file.path) belongs to no module of the table")
            #expect(rule.isC, "\(file.path): C in a Swift module")
            let own = Set(files.filter { $0.module == file.module }.map { URL(filePath: $0.path).lastPathComponent })
            for include in file.quotedIncludes where !own.contains(URL(filePath: include).lastPathComponent) {
                Issue.record("\(file.path) includes \(include) of another module")
            }
        }
        for file in try house.sourceFiles(under: "Sources", extensions: ["swift"]) {
            #expect(rules[file.module]?.isC == false, "\(file.path): Swift in a C module")
        }
    }

    @Test func arrowsPointDownOnly() {
        for rule in houseRules {
            let reached = rule.reached(by: rules)
            #expect(!reached.contains(rule.name), "\(rule.name) reaches itself")
            for module in rule.unreachable {
                #expect(!reached.contains(module), "\(rule.name) reaches \(module)")
            }
            for module in rule.house {
                #expect(rules[module] != nil, "\(rule.name) may import \(module), which is no module")
                #expect(rule.objection(toImporting: module) == nil, "\(rule.name): \(module) is allowed and forbidden")
            }
        }
    }

    @Test func onlyTheClientIsPublic() throws {
        for file in try house.sourceFiles(under: "Sources", extensions: ["swift"]) where file.module != "LogQClient" {
            // An `@_exported` import has to be public.
            let isPlatform = file.path.hasSuffix("SystemSupport/Platform.swift")
            if !isPlatform {
                #expect(file.lineNumbers(using: "public") == [], "\(file.path): `public` is for LogQClient")
            }
            let opened = file.lines.filter { $0.contains("open class") }
            #expect(opened == [], "\(file.path): `open` is for LogQClient")
        }
    }

    @Test func filesAreShort() throws {
        for file in try house.sourceFiles(under: "Sources", extensions: ["swift", "c", "h"]) {
            #expect(file.lines.count <= 500, "\(file.path) has \(file.lines.count) lines, at most 500 are allowed")
        }
    }

    @Test func manifestIsPlain() throws {
        let manifest = SourceFile(path: "Package.swift", text: try house.text(of: "Package.swift"))
        #expect(manifest.lineNumbers(using: "unsafeFlags") == [])
        // One settings loop, so that every target is compiled alike.
        #expect(manifest.lineNumbers(using: "swiftSettings").count == 1)
    }

    /// The top level is fixed. Files that git ignores (builds, a data directory) are allowed.
    @Test func topLevelHoldsOnlyWhatItShould() throws {
        let allowed: Set<String> = ["Package.swift", "README.md", "Sources", "Tests", "protocol"]
        let ignored = try house.text(of: ".gitignore").split(separator: "\n")
            .map { line in line.hasSuffix("/") ? String(line.dropLast()) : String(line) }
        for entry in try house.entries() where !entry.hasPrefix(".") && !ignored.contains(entry) {
            #expect(allowed.contains(entry), "\(entry) does not belong at the top level")
        }
    }

    @Test func testSupportImportsLittle() throws {
        for file in try house.sourceFiles(under: "Tests/TestSupport", extensions: ["swift"]) {
            for imported in file.imports {
                if let objection = testSupportRule.objection(toImporting: imported) {
                    Issue.record("\(file.path): \(objection)")
                }
            }
        }
    }

    /// Only TestSupport starts processes, makes temporary directories and opens sockets.
    @Test func testsShareTheirTools() throws {
        for file in try house.sourceFiles(under: "Tests", extensions: ["swift"]) where file.module != "TestSupport" {
            for word in ["posix_spawn", "mkdtemp", "sockaddr_un"] {
                #expect(file.lineNumbers(using: word) == [], "\(file.path): \(word) is for TestSupport")
            }
        }
    }

    @Test func everyTestTargetBelongsToAModule() throws {
        let others: Set<String> = ["EndToEndTests", "HouseRulesTests", "Benchmarks", "TestSupport", "README.md"]
        for entry in try house.entries(of: "Tests") where !others.contains(entry) {
            #expect(entry.hasSuffix("Tests") && rules[String(entry.dropLast(5))] != nil, "Tests/\(entry)")
        }
    }

    // MARK: Rules for every file

    @Test func noWordIsBanned() throws {
        report(try house.allFiles().flatMap { $0.bannedPhraseViolations() })
    }

    @Test func linesAreShort() throws {
        report(try house.allFiles().flatMap { $0.longLineViolations() })
    }

    @Test func functionsAreShort() throws {
        let files = try house.allFiles()
        #expect(files.flatMap(\.functions).count > 1_000, "the rules find the functions")
        report(files.flatMap { $0.longFunctionViolations() })
    }

    /// If they do not match, the rules mistake code for a string or a comment, or the reverse.
    @Test func bracesOfEveryFileMatch() throws {
        for file in try house.allFiles() where file.kind == .swift {
            for (open, close) in [("{", "}"), ("(", ")"), ("[", "]")] {
                let counts = [open, close].map { bracket in file.tokens.count { $0.text == bracket } }
                #expect(counts[0] == counts[1], "\(file.path): \(open) and \(close)")
            }
        }
    }

    @Test func privateDeclarationsAreUsed() throws {
        report(try house.allFiles().flatMap { $0.unusedPrivateViolations() })
    }

    @Test func typesOfAModuleHaveDifferentNames() throws {
        report(repeatedTypeViolations(in: try house.allFiles()))
    }

    private func report(_ violations: [Violation]) {
        for violation in violations { Issue.record("\(violation)") }
    }
}
