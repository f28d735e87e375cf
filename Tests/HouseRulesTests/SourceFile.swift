/// A source file, and the little that the house rules want to know of its text.
import Foundation

struct SourceFile {
    let path: String
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        self.lines = lines
    }

    /// The module, as the folder under Sources says.
    var module: String {
        String(path.split(separator: "/").dropFirst().first ?? "")
    }

    /// The modules it imports, whatever attribute or access stands before the word.
    var imports: [String] {
        lines.filter { $0.contains("import") }.compactMap { line in
            let start = /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?/
            let what = /import\s+(?:(?:typealias|struct|class|enum|actor|protocol|let|var|func)\s+)?(\w+)/
            guard let rest = line.prefixMatch(of: start).map({ line[$0.range.upperBound...] }) else { return nil }
            return rest.prefixMatch(of: what).map { String($0.1) }
        }
    }

    /// C: the files it includes with quotes, which are its own.
    var quotedIncludes: [String] {
        lines.filter { $0.contains("include") }.compactMap { line in
            line.prefixMatch(of: /\s*#\s*include\s+"([^"]+)"/).map { String($0.1) }
        }
    }

    /// The numbers of the lines that use `word` outside comments and strings on one line.
    func lineNumbers(using word: String) -> [Int] {
        lines.indices.filter { lines[$0].contains(word) }.filter { index in
            var code = lines[index].replacing(/"(?:\\.|[^"\\])*"/, with: "\"\"")
            if let comment = code.firstRange(of: "//") { code.removeSubrange(comment.lowerBound...) }
            return code.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains(Substring(word))
        }.map { $0 + 1 }
    }
}

/// The package on disk, found from where this file was compiled.
struct House {
    let root: URL

    init(filePath: String = #filePath) {
        root = URL(filePath: filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    func entries(of folder: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path).sorted()
    }

    func text(of path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The files under `folder` whose names end in one of `extensions`.
    func sourceFiles(under folder: String, extensions: Set<String>) throws -> [SourceFile] {
        let all = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path).sorted()
        return try all.filter { path in extensions.contains(URL(filePath: path).pathExtension) }
            .map { path in SourceFile(path: "\(folder)/\(path)", text: try text(of: "\(folder)/\(path)")) }
    }
}
