extension SourceFile {
    /// The private declarations that nothing in their file uses. A property that is only set counts as used, because it
    /// may keep an object alive.
    func unusedPrivateViolations() -> [Violation] {
        guard kind == .swift else { return [] }
        let names = tokens.indices.flatMap { tokens.privateNames(at: $0) }
        guard !names.isEmpty else { return [] }
        let labels = tokens.labels
        var used: Set<String> = []
        for (index, token) in tokens.enumerated() where !names.contains(index) && !labels.contains(index) {
            // A property with a wrapper may be used as `$name` or `_name`.
            used.insert(token.text)
            if token.text.hasPrefix("$") || token.text.hasPrefix("_") { used.insert(String(token.text.dropFirst())) }
        }
        return names.filter { !used.contains(tokens[$0].text) && !tokens.isRawStorage($0) }.map { index in
            Violation(path: path, line: tokens[index].line, "private \(tokens[index].text) is not used")
        }
    }
}

extension [Token] {
    private static let declarations: Set<String> = [
        "func", "var", "let", "struct", "class", "enum", "actor", "protocol", "typealias",
    ]
    private static let modifiers: Set<String> = [
        "static", "final", "lazy", "weak", "unowned", "nonisolated", "mutating", "nonmutating", "consuming",
        "borrowing", "indirect", "override", "isolated", "class",
    ]
    /// Names that the compiler uses.
    private static let implicit: Set<String> = ["CodingKeys", "hash", "encode"]

    /// The indices of the names that a declaration introduces, if the token at `index` is `private` or `fileprivate`.
    fileprivate func privateNames(at index: Int) -> [Int] {
        guard self[index].text == "private" || self[index].text == "fileprivate" else { return [] }
        var index = index + 1
        // `private(set)` concerns only the setter.
        guard index < count, self[index].text != "(" else { return [] }
        while index + 1 < count {
            let word = self[index].text
            let isModifier = Self.modifiers.contains(word) && self[index + 1].text != "{"
            if Self.declarations.contains(word)
                && !(word == "class" && Self.declarations.contains(self[index + 1].text))
            {
                break
            }
            guard isModifier || word == "@" else { return [] }
            index += word == "@" ? 2 : 1
            if index < count, self[index].text == "(" { index = indexOfParenthesis(closing: index) + 1 }
        }
        guard index + 1 < count else { return [] }
        let name = self[index + 1].text == "`" ? index + 2 : index + 1
        if self[name].text == "(" { return ((name + 1)..<indexOfParenthesis(closing: name)).filter { self[$0].isWord } }
        return self[name].isWord && !Self.implicit.contains(self[name].text) ? [name] : []
    }

    /// Whether the name belongs to a tuple. Such a property may give a type its size and be read through pointers.
    fileprivate func isRawStorage(_ name: Int) -> Bool {
        name + 2 < count && self[name + 1].text == ":" && self[name + 2].text == "("
    }

    /// The indices of the labels of arguments and parameters.
    fileprivate var labels: Set<Int> {
        var labels: Set<Int> = []
        var open: [String] = []
        for index in indices {
            switch self[index].text {
            case "(", "[", "{": open.append(self[index].text)
            case ")", "]", "}": _ = open.popLast()
            case ":" where open.last == "(" && self[index - 1].isEnd(at: self[index].offset):
                // One label, or a label and the name of the parameter.
                if self[index - 2].text == "(" || self[index - 2].text == "," {
                    labels.insert(index - 1)
                } else if self[index - 2].isWord, self[index - 2].text != "case" {
                    labels.formUnion([index - 2, index - 1])
                }
            default: break
            }
        }
        return labels
    }

    private func indexOfParenthesis(closing open: Int) -> Int {
        var depth = 0
        for index in open..<count {
            if self[index].text == "(" { depth += 1 }
            if self[index].text == ")" { depth -= 1 }
            if depth == 0 { return index }
        }
        return count - 1
    }
}

extension Token {
    /// Whether it is a word that ends at the offset `next`.
    fileprivate func isEnd(at next: Int) -> Bool { isWord && offset + text.utf8.count == next }
}
