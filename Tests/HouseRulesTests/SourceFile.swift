import Foundation

/// A source file, with the parts of its text that the house rules need.
struct SourceFile {
    enum Kind {
        case swift
        case c
        case markdown
    }

    let path: String
    let lines: [String]
    let kind: Kind
    /// Empty for Markdown.
    let layers: SourceLayers
    /// The tokens of the code.
    let tokens: [Token]

    init(path: String, text: String) {
        self.path = path
        kind =
            switch URL(filePath: path).pathExtension {
            case "c", "h", "S": .c
            case "md": .markdown
            default: .swift
            }
        layers = SourceLayers(of: kind == .markdown ? "" : text, isC: kind == .c)
        tokens = Token.all(of: layers.code)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        self.lines = lines
    }

    /// The module: the name of the folder below Sources or Tests.
    var module: String {
        String(path.split(separator: "/").dropFirst().first ?? "")
    }

    /// The modules that it imports, with any attribute or access level.
    var imports: [String] {
        lines.filter { $0.contains("import") }.compactMap { line in
            let start = /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?/
            let module = /import\s+(?:(?:typealias|struct|class|enum|actor|protocol|let|var|func)\s+)?(\w+)/
            guard let rest = line.prefixMatch(of: start).map({ line[$0.range.upperBound...] }) else { return nil }
            return rest.prefixMatch(of: module).map { String($0.1) }
        }
    }

    /// The files that C code includes with quotes. They belong to its own module.
    var quotedIncludes: [String] {
        lines.filter { $0.contains("include") }.compactMap { line in
            line.prefixMatch(of: /\s*#\s*include\s+"([^"]+)"/).map { String($0.1) }
        }
    }

    /// The numbers of the lines that use `word` outside comments and strings.
    func lineNumbers(using word: String) -> [Int] {
        tokens.filter { $0.text == word }.map(\.line)
    }
}

/// The package on disk. The path of this file at compile time gives its location.
struct House {
    private let root: URL

    private static let extensions: Set<String> = ["swift", "c", "h", "S", "md"]
    /// Read once, because parsing all files takes longer than all the tests.
    private static let files = Result { try House().readFiles() }

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

    /// The Swift, C and Markdown files of the repository.
    func allFiles() throws -> [SourceFile] { try Self.files.get() }

    /// The files under `folder` whose names end in one of `extensions`.
    func sourceFiles(under folder: String, extensions: Set<String>) throws -> [SourceFile] {
        try allFiles().filter { file in
            file.path.hasPrefix(folder + "/") && extensions.contains(URL(filePath: file.path).pathExtension)
        }
    }

    private func readFiles() throws -> [SourceFile] {
        let nested = try ["Sources", "Tests", "protocol"].flatMap { folder in
            try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path).sorted()
                .map { "\(folder)/\($0)" }
        }
        return try (entries() + nested).filter { Self.extensions.contains(URL(filePath: $0).pathExtension) }
            .map { path in SourceFile(path: path, text: try text(of: path)) }
    }
}
