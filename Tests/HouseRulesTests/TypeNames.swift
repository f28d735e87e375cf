/// A type, and the place of its declaration.
struct TypeDeclaration: Equatable {
    /// The name with the enclosing types: "Environment.Options".
    let path: String
    let file: String
    let line: Int

    var name: Substring { path.split(separator: ".").last ?? "" }
    var isNested: Bool { path.contains(".") }
}

/// The types of one module that share a name: two with the same path, or a nested type that hides a top-level type.
///
/// Nested types of different types may share a name, such as `Options`.
func repeatedTypeViolations(in files: [SourceFile]) -> [Violation] {
    let modules = Dictionary(grouping: files.filter { $0.kind == .swift }, by: \.module)
    return modules.sorted { $0.key < $1.key }.flatMap { module, files -> [Violation] in
        var first: [String: TypeDeclaration] = [:]
        let types = files.flatMap(\.types)
        // A nested type is compared with every top-level type, including those declared later.
        return (types.filter { !$0.isNested } + types.filter(\.isNested)).compactMap { type in
            let other = first[type.path] ?? (type.isNested ? first[String(type.name)] : nil)
            if first[type.path] == nil { first[type.path] = type }
            guard let other else { return nil }
            return Violation(path: type.file, line: type.line, "\(type.path) is also at \(other.file):\(other.line)")
        }
    }
}

extension SourceFile {
    private static let typeWords: Set<String> = [
        "struct", "class", "enum", "actor", "protocol", "typealias", "extension",
    ]

    /// The types that the file declares outside functions. An extension declares no type, but names an enclosing one.
    var types: [TypeDeclaration] {
        guard kind == .swift else { return [] }
        var types: [TypeDeclaration] = []
        // The type of each open brace; nil for a brace of anything else.
        var open: [String?] = []
        var next: String?
        for (index, token) in tokens.enumerated() {
            switch token.text {
            case "{":
                open.append(next)
                next = nil
            case "}": _ = open.popLast()
            case let word where Self.typeWords.contains(word):
                guard let name = tokens.typeName(at: index), !open.contains(nil) else { continue }
                let path = (open.compactMap { $0 } + [name]).joined(separator: ".")
                if word != "typealias" { next = name }
                if word != "extension" { types.append(TypeDeclaration(path: path, file: self.path, line: token.line)) }
            default: break
            }
        }
        return types
    }
}

extension [Token] {
    /// The name after the word at `index`, if that word declares a type.
    fileprivate func typeName(at index: Int) -> String? {
        guard index + 1 < count, let first = self[index + 1].text.first, first.isUppercase else { return nil }
        if index > 0, self[index - 1].text == "." || self[index - 1].text == "import" { return nil }
        var name = self[index + 1].text
        var next = index + 2
        while next + 1 < count, self[next].text == ".", self[next + 1].isWord {
            name += "." + self[next + 1].text
            next += 2
        }
        return name
    }
}
