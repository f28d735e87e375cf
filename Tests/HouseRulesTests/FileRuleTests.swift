import Testing

/// Each rule for files must report a violation with its line, and accept a text that follows the rule.
@Suite struct FileRuleTests {
    private func swift(_ text: String) -> SourceFile { SourceFile(path: "Sources/LMDB/A.swift", text: text) }
    private func c(_ text: String) -> SourceFile { SourceFile(path: "Sources/CChecksum/A.c", text: text) }
    private func markdown(_ text: String) -> SourceFile { SourceFile(path: "A.md", text: text) }

    // MARK: Code, strings and comments

    @Test func codeCommentsAndStringsAreApart() {
        let file = swift(
            ##"""
            let a = "one // two \(three + "four \(five)") six" // seven "eight
            /* nine /* ten */ eleven */ let twelve = """
                thirteen "fourteen" \(fifteen)
                """
            let sixteen = #"seventeen " \(eighteen) \#(nineteen)"# // twenty
            let pattern = /"[^"\/]*/ // regex
            let half = one / 2 // not a regex, a "/" b
            """##
        )
        let words = file.tokens.filter(\.isWord).map(\.text)
        #expect(
            words == [
                "let", "a", "three", "five", "let", "twelve", "fifteen", "let", "sixteen", "nineteen", "let", "pattern",
                "let", "half", "one", "2",
            ]
        )
        let comments = Token.all(of: file.layers.comments).filter(\.isWord)
        #expect(comments.prefix(5).map(\.text) == ["seven", "eight", "nine", "ten", "eleven"])
        #expect(comments.prefix(5).map(\.line) == [1, 1, 2, 2, 2])
        #expect(comments.dropFirst(5).first?.text == "twenty")
        #expect(comments.last?.line == 7)
    }

    @Test func codeOfC() {
        let file = c("char a = '\"'; /* one /* two */ int b; // three\nchar *d = \"/* no */\";\n")
        #expect(file.tokens.filter(\.isWord).map(\.text) == ["char", "a", "int", "b", "char", "d"])
        #expect(Token.all(of: file.layers.comments).filter(\.isWord).map(\.text) == ["one", "two", "three"])
    }

    // MARK: Words

    @Test func bannedPhrasesOfComments() {
        let text = """
            let behind = "whoever, so many" // The code behind it.
            /// Waits until it gives
            /// way, for it is old.
            func whom() {}
            /// The thread that is left behind, `whoever`; those who read. For it to end, so long as it lasts.
            ///
            /// It gives
            ///
            /// way.
            """
        #expect(
            swift(text).bannedPhraseViolations().map(\.description) == [
                #"Sources/LMDB/A.swift:1: "behind": write "after""#,
                #"Sources/LMDB/A.swift:2: "gives way": "#
                    + #"write what happens: "is evicted", "is replaced", "waits""#,
                #"Sources/LMDB/A.swift:3: ", for it": write "because it""#,
            ]
        )
        #expect(c("int whom; /* by\n * then */\n").bannedPhraseViolations().map(\.line) == [1])
    }

    @Test func bannedPhrasesOfMarkdown() {
        let text = "# Title\n\nIn\nearnest.\n```\nwhoever\n```\n`so many` words, **Whom** it serves.\n"
        #expect(markdown(text).bannedPhraseViolations().map(\.line) == [3, 8])
        #expect(markdown("A caller that waits this long, after it.\n").bannedPhraseViolations() == [])
    }

    // MARK: Lines

    @Test func longLines() {
        let long = String(repeating: "word ", count: 24)
        #expect(swift("let a = 1\n// \(long)\n").longLineViolations().map(\.line) == [2])
        #expect(
            c("/* \(long) */\n").longLineViolations().map(\.description) == [
                "Sources/CChecksum/A.c:1: 126 characters, at most 120 are allowed"
            ]
        )
        #expect(swift("// " + String(repeating: "é", count: 117)).longLineViolations() == [])
        #expect(swift("// " + String(repeating: "é", count: 118)).longLineViolations().map(\.line) == [1])
    }

    @Test func longLinesOfMarkdown() {
        let long = String(repeating: "word ", count: 25)
        let link = "[text](https://example.org/\(String(repeating: "a", count: 120)))"
        #expect(
            markdown("text\n\(long)\n- see \(link)\n```\n\(long)\n```\n").longLineViolations().map(\.line) == [2, 3, 5]
        )
        let allowed = "| \(long) |\n- \(link)\n[a b]: \(link)\n```usage\n\(long)\n```\n"
        #expect(markdown(allowed).longLineViolations() == [])
    }

    // MARK: Functions

    private func body(_ lines: Int) -> String { String(repeating: "    call()\n", count: lines) }

    @Test func longFunctions() {
        let text = """
            protocol P { func required() -> Int; init(_ a: Int) }
            struct A {
                init?(a: () -> Void = {}) where T: P {
            \(body(59))}
                func short() { "func }" }
                func f<T>(_ a: [T: () -> Void]) async throws(E) -> (Int) -> Void {
            \(body(59))}
                let b = A.init(a: {
            \(body(80))})
            }
            """
        let file = swift(text)
        #expect(file.functions.map(\.name) == ["init", "short", "f"])
        #expect(
            file.longFunctionViolations().map(\.description) == [
                "Sources/LMDB/A.swift:3: init has 61 lines, at most 60 are allowed",
                "Sources/LMDB/A.swift:65: f has 61 lines, at most 60 are allowed",
            ]
        )
        #expect(swift("func f() {\n\(body(58))}\n").longFunctionViolations() == [])
    }

    @Test func longFunctionsOfC() {
        let text = """
            #define OPEN(a) if (a) { \\
                {
            struct s { int a; };
            static int table[] = { 1, 2 };
            int declared(int a);
            static inline int
            f(int a) {
            \(body(59))}
            int g(void)
            {
            \(body(57))}
            """
        #expect(c(text).functions.map(\.name) == ["f", "g"])
        #expect(
            c(text).longFunctionViolations().map(\.description) == [
                "Sources/CChecksum/A.c:7: f has 61 lines, at most 60 are allowed"
            ]
        )
    }

    // MARK: Private declarations

    @Test func unusedPrivateDeclarations() {
        let text = """
            private struct Unused {}
            final class A {
                private static let named = 1
                fileprivate func label(at index: Int) {}
                nonisolated(unsafe) private static var counter = 0
                private let (first, second) = (1, 2) // second, named
                private lazy var text = "named \\(first)"
                private(set) var open = 1
                private init(named: Int, label text: Int) { call(label: text) }
                deinit { print(Self.counter) }
            }
            """
        #expect(
            swift(text).unusedPrivateViolations().map(\.description) == [
                "Sources/LMDB/A.swift:1: private Unused is not used",
                "Sources/LMDB/A.swift:3: private named is not used",
                "Sources/LMDB/A.swift:4: private label is not used",
                "Sources/LMDB/A.swift:6: private second is not used",
            ]
        )
        let used = """
            private let a = 1
            private func `default`() {}
            @State private var c = 0
            struct Slot { private var words: (UInt64, UInt64) }
            private enum Keys { case one }
            print("\\(a)", default, $c, [Keys.one: Keys.one], b ? a : c)
            """
        #expect(swift(used).unusedPrivateViolations() == [])
    }

    // MARK: Types

    @Test func repeatedTypes() {
        let one = SourceFile(
            path: "Sources/LMDB/One.swift",
            text: "struct Limits {}\nextension A.B {\n    enum C { case struct }\n    func f() { struct Local {} }\n}\n"
        )
        let two = SourceFile(
            path: "Sources/LMDB/Two.swift",
            text: "struct A {\n    struct B {\n        class C {}\n    }\n    typealias Limits = Int\n}\n"
        )
        let other = SourceFile(path: "Sources/ItemStore/A.swift", text: "struct Limits {}\nactor Local {}\n")
        #expect(
            repeatedTypeViolations(in: [one, two, other]).map(\.description) == [
                "Sources/LMDB/Two.swift:3: A.B.C is also at Sources/LMDB/One.swift:3",
                "Sources/LMDB/Two.swift:5: A.Limits is also at Sources/LMDB/One.swift:1",
            ]
        )
        let options =
            "struct Options {}\nstruct A { struct Settings {} }\nstruct B { class func f() {}; enum Settings {} }\n"
        #expect(repeatedTypeViolations(in: [swift(options), other]) == [])
    }
}
