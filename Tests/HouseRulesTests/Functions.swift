let linesPerFunctionMax = 60

extension SourceFile {
    /// The functions that are too long. The length counts the lines from the declaration to the closing brace.
    func longFunctionViolations() -> [Violation] {
        functions.compactMap { function in
            let count = function.lines.count
            guard count > linesPerFunctionMax else { return nil }
            return Violation(
                path: path,
                line: function.lines.lowerBound,
                "\(function.name) has \(count) lines, at most \(linesPerFunctionMax) are allowed"
            )
        }
    }

    struct Function: Equatable {
        let name: String
        let lines: ClosedRange<Int>
    }

    /// The functions with bodies, in the order of their declarations.
    var functions: [Function] {
        switch kind {
        case .swift: swiftFunctions
        case .c: cFunctions
        case .markdown: []
        }
    }

    private var swiftFunctions: [Function] {
        tokens.indices.compactMap { start in
            guard tokens.isFunction(at: start), let open = tokens.indexOfBody(from: start + 1) else { return nil }
            let name = tokens[start].text == "func" ? tokens[start + 1].text : tokens[start].text
            return Function(name: name, lines: tokens[start].line...tokens[tokens.indexOfBrace(closing: open)].line)
        }
    }

    private var cFunctions: [Function] {
        let tokens = Token.all(of: layers.codeWithoutDirectives)
        var functions: [Function] = []
        var index = 0
        while index < tokens.count {
            defer { index += 1 }
            guard tokens[index].text == "{" else { continue }
            let close = tokens.indexOfBrace(closing: index)
            // The name precedes the first parenthesis of the declaration.
            let start = (tokens[..<index].lastIndex { $0.text == ";" || $0.text == "}" } ?? -1) + 1
            if tokens[index - 1].text == ")" || tokens[index - 1].isWord,
                let name = tokens[start..<index].firstIndex(where: { $0.text == "(" }).map({ $0 - 1 }), name >= start
            {
                functions.append(Function(name: tokens[name].text, lines: tokens[name].line...tokens[close].line))
            }
            index = close
        }
        return functions
    }
}

extension SourceLayers {
    /// C code without preprocessor lines, because their braces need not match.
    fileprivate var codeWithoutDirectives: [UInt8] {
        var isContinued = false
        return Array(
            code.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
                let isDirective = isContinued || line.first { $0 > UInt8(ascii: " ") } == UInt8(ascii: "#")
                isContinued = isDirective && line.last { $0 > UInt8(ascii: " ") } == UInt8(ascii: "\\")
                return isDirective ? [] : line
            }
            .joined(separator: [UInt8(ascii: "\n")])
        )
    }
}

extension [Token] {
    private static let functionWords: Set<String> = ["func", "init", "deinit", "subscript"]
    private static let declarationWords: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "class", "enum", "actor", "protocol",
        "extension", "typealias", "associatedtype",
    ]

    /// Whether the token declares a Swift function (and does not call one).
    fileprivate func isFunction(at index: Int) -> Bool {
        guard Self.functionWords.contains(self[index].text), index + 1 < count else { return false }
        if self[index].text == "func" { return true }
        return (index == 0 || self[index - 1].text != ".") && ["(", "<", "?", "!", "{"].contains(self[index + 1].text)
    }

    /// The index of the brace that opens the body of the declaration. Nil if another declaration or the end of a
    /// protocol comes first.
    func indexOfBody(from start: Int) -> Int? {
        var depth = 0
        for index in start..<Swift.max(start, count) {
            switch self[index].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return index
            case "}" where depth == 0: return nil
            case let word where depth == 0 && Self.declarationWords.contains(word): return nil
            default: break
            }
        }
        return nil
    }

    /// The index of the brace that closes the one at `open`, or of the last token.
    func indexOfBrace(closing open: Int) -> Int {
        var depth = 0
        for index in open..<count {
            if self[index].text == "{" { depth += 1 }
            if self[index].text == "}" { depth -= 1 }
            if depth == 0 { return index }
        }
        return count - 1
    }
}
