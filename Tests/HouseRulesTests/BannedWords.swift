/// A word or a phrase that comments and Markdown must not use.
struct BannedPhrase {
    /// In lower case. A comma is a separate word.
    let words: [String]
    let reason: String
    /// The phrase is allowed after these words.
    var allowedAfter: Set<String> = []
    /// The phrase is allowed before these words.
    var allowedBefore: Set<String> = []

    init(_ phrase: String, _ reason: String, after: Set<String> = [], before: Set<String> = []) {
        words = phrase.replacing(",", with: " ,").split(separator: " ").map(String.init)
        self.reason = reason
        allowedAfter = after
        allowedBefore = before
    }
}

let bannedPhrases: [BannedPhrase] = [
    BannedPhrase("whoever", "a piece of code is no person: write \"a caller that\""),
    BannedPhrase("whom", "a piece of code is no person: write \"that\" or \"which\""),
    BannedPhrase(
        "who",
        "a piece of code is no person: write \"that\" or \"which\"",
        after: ["those", "people", "users"]
    ),
    BannedPhrase("so many", "write \"this many\", or the number"),
    BannedPhrase("so much", "write \"this much\", or the amount", before: ["as", "that"]),
    BannedPhrase("so long", "write \"this long\", or the time", before: ["as", "that"]),
    BannedPhrase(
        "behind",
        "write \"after\"",
        after: ["left", "leave", "leaves", "stay", "stays", "lag", "lags", "fall", "falls"]
    ),
    BannedPhrase("give way", "write what happens: \"is evicted\", \"is replaced\", \"waits\""),
    BannedPhrase("gives way", "write what happens: \"is evicted\", \"is replaced\", \"waits\""),
    BannedPhrase("gave way", "write what happened: \"was evicted\", \"was replaced\", \"waited\""),
    BannedPhrase("giving way", "write what happens: \"evicting\", \"replacing\", \"waiting\""),
    BannedPhrase(", for it", "write \"because it\""),
    BannedPhrase(", for they", "write \"because they\""),
    BannedPhrase(", for there", "write \"because there\""),
    BannedPhrase(", for otherwise", "write \"because otherwise\""),
    BannedPhrase("is known of", "name the thing: \"the statistics of\""),
    BannedPhrase("by then", "name the moment"),
    BannedPhrase("in earnest", "say what is done"),
    BannedPhrase("for ever", "write \"forever\""),
    BannedPhrase("let go", "write \"released\" or \"closed\""),
    BannedPhrase("lets go", "write \"releases\" or \"closes\""),
    BannedPhrase("many a", "write \"several to a\""),
    BannedPhrase("at most so", "write the limit"),
    BannedPhrase("lets leave", "the verb comes before its object: write \"sends\""),
    BannedPhrase("without number", "write \"unbounded\""),
    BannedPhrase("settle", "a private word: say what is done"),
    BannedPhrase("settles", "a private word: say what is done"),
    BannedPhrase("settled", "a private word: say what was done"),
    BannedPhrase("pump", "a private word: say what is done"),
    BannedPhrase("pumps", "a private word: say what is done"),
]

private let phrasesByFirstWord = Dictionary(grouping: bannedPhrases) { $0.words[0] }

extension SourceFile {
    /// The banned phrases in the comments of a Swift or C file, or in the text of a Markdown file.
    func bannedPhraseViolations() -> [Violation] {
        let words = proseWords
        return words.indices.flatMap { start -> [Violation] in
            (phrasesByFirstWord[words[start].text] ?? []).compactMap { phrase in
                let end = start + phrase.words.count
                guard end <= words.count, words[start..<end].map(\.text) == phrase.words else { return nil }
                // A phrase may continue on the next line, but not after an empty line.
                guard zip(words[start..<end], words[(start + 1)..<end]).allSatisfy({ $1.line <= $0.line + 1 }) else {
                    return nil
                }
                if start > 0, phrase.allowedAfter.contains(words[start - 1].text) { return nil }
                if end < words.count, phrase.allowedBefore.contains(words[end].text) { return nil }
                let quoted = phrase.words.joined(separator: " ")
                return Violation(path: path, line: words[start].line, "\"\(quoted)\": \(phrase.reason)")
            }
        }
    }

    /// Words and punctuation outside code, in lower case. Text between backticks is code.
    private var proseWords: [Token] {
        var words: [Token] = []
        var isCode = false
        let markers: Set<String> = ["/", "*", ">", "!"]
        for token in Token.all(of: kind == .markdown ? markdownProse : layers.comments) {
            // An empty line ends code that has no second backtick.
            if let last = words.last, token.line > last.line + 1 { isCode = false }
            if token.text == "`" { isCode.toggle() }
            if isCode || markers.contains(token.text) { continue }
            words.append(Token(text: token.text.lowercased(), line: token.line, offset: token.offset))
        }
        return words
    }

    /// The bytes of Markdown, with empty lines in place of fenced blocks.
    private var markdownProse: [UInt8] {
        let fenced = fencedBlocks
        return Array(
            lines.indices.map { index in fenced.contains { $0.lines.contains(index) } ? "" : lines[index] }
                .joined(separator: "\n").utf8
        )
    }
}
