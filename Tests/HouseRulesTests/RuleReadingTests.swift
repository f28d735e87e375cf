import Testing

/// The rules rely on finding every import, and on finding words only outside comments and strings.
@Suite struct RuleReadingTests {
    @Test func importsInEverySpelling() {
        let file = SourceFile(
            path: "Sources/LMDB/Some+Topic.swift",
            text: """
                import One
                internal import Two
                  package   import Three
                @_exported public import Four
                @preconcurrency import Five
                import struct Six.Thing
                import func Seven.call
                #if canImport(Eight)
                // import Nine
                /// import Ten
                let important = 1
                importer()
                @_spi(Inner) import Eleven
                """
        )
        #expect(file.module == "LMDB")
        #expect(file.imports == ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eleven"])
    }

    @Test func includesWithQuotes() {
        let text = "#include \"Own.h\"\n  #  include \"../Other/Other.h\"\n#include <stdint.h>\n// #include \"No.h\"\n"
        #expect(SourceFile(path: "Sources/C/C.c", text: text).quotedIncludes == ["Own.h", "../Other/Other.h"])
    }

    @Test func wordsInCodeOnly() {
        let file = SourceFile(
            path: "Sources/LMDB/A.swift",
            text: """
                public struct A {}
                // public in a comment
                let publicity = "public \\" public" // public
                @usableFromInline package let b = 1
                @inlinable public func c() {}
                """
        )
        #expect(file.lineNumbers(using: "public") == [1, 5])
    }

    @Test func linesAreCountedLikeWc() {
        #expect(SourceFile(path: "a", text: "").lines.count == 0)
        #expect(SourceFile(path: "a", text: "one\n\nthree\n").lines.count == 3)
        #expect(SourceFile(path: "a", text: "one\ntwo").lines.count == 2)
    }

    @Test func objections() {
        let rule = ModuleRule(name: "A", house: ["B"], packages: ["NIOCore"], forbidden: ["NIOPosix", "D*"])
        #expect(rule.objection(toImporting: "B") == nil)
        #expect(rule.objection(toImporting: "NIOCore") == nil)
        #expect(rule.objection(toImporting: "Foundation") == nil)
        #expect(rule.objection(toImporting: "NIOPosix") == "A must never import NIOPosix")
        #expect(rule.objection(toImporting: "Dispatch") == "A must never import Dispatch")
        #expect(rule.objection(toImporting: "C")?.contains("does not allow") == true)
        let pure = ModuleRule(name: "P", isSystemAllowed: false)
        #expect(pure.objection(toImporting: "Foundation") != nil)
    }

    @Test func reachedModules() {
        let rules = [
            "A": ModuleRule(name: "A", house: ["B"]),
            "B": ModuleRule(name: "B", house: ["C"]),
            "C": ModuleRule(name: "C", house: ["B"]),
        ]
        #expect(rules["A"]?.reached(by: rules) == ["B", "C"])
        #expect(rules["C"]?.reached(by: rules) == ["B", "C"])
    }
}
