let charactersPerLineMax = 120

extension SourceFile {
    /// A block of Markdown between two fences.
    struct FencedBlock {
        /// The word after the opening fence, such as "swift" or "usage".
        let language: String
        /// The indices of its lines, including the fences.
        let lines: Range<Int>
    }

    var fencedBlocks: [FencedBlock] {
        var blocks: [FencedBlock] = []
        var open: (language: String, start: Int)?
        for (index, line) in lines.enumerated() {
            let line = line.drop { $0 == " " }
            guard line.hasPrefix("```") else { continue }
            if let block = open {
                blocks.append(FencedBlock(language: block.language, lines: block.start..<(index + 1)))
                open = nil
            } else {
                open = (String(line.dropFirst(3)), index)
            }
        }
        return blocks
    }

    /// The lines that are too long. In Markdown, tables, `usage` blocks and lines of one word (such as a link) may be
    /// longer.
    func longLineViolations() -> [Violation] {
        let usage = kind == .markdown ? fencedBlocks.filter { $0.language == "usage" } : []
        return lines.indices.compactMap { index in
            let line = lines[index]
            guard line.utf8.count > charactersPerLineMax, line.count > charactersPerLineMax else { return nil }
            if kind == .markdown {
                if line.hasPrefix("|") || Self.isOneWord(line) { return nil }
                if usage.contains(where: { $0.lines.contains(index) }) { return nil }
            }
            let message = "\(line.count) characters, at most \(charactersPerLineMax) are allowed"
            return Violation(path: path, line: index + 1, message)
        }
    }

    /// Whether a line of Markdown has only one word after the mark of a list, a quotation or a link definition.
    private static func isOneWord(_ line: String) -> Bool {
        let mark = /\s*(?:[-*>]\s+|\d+\.\s+|\[[^\]]+\]:\s+)?/
        let rest = line.prefixMatch(of: mark).map { line[$0.range.upperBound...] } ?? line[...]
        return !rest.contains(" ")
    }
}
