package import PackedStrings

/// A positional argument of a verb, without the type of its value. The parser and the usage line need no more.
///
/// Every instance is an `ArgumentKey`, which has the type. This superclass lets a verb list arguments of different
/// types. It is `@unchecked` because it is not final; all its properties are immutable.
@usableFromInline
package class VerbArgument: @unchecked Sendable {
    /// How the parser reads the argument, and the field of `Request` that it sets.
    enum Form: Sendable {
        case collection
        /// The second collection of `SWAP`.
        case otherCollection
        case id
        /// A step, or `-`.
        case step
        /// An integer from 1 to a limit.
        case count(name: String, max: @Sendable (Limits) -> Int)
        /// The protocol version of `HELLO`.
        case version
        /// Any word. It may be missing.
        case optionalWord
        case vector
        /// A vector, unless the request has this option.
        case vectorUnless(VerbOption)
        /// All remaining words: one or more ids.
        case ids
        /// All remaining words: one or more triples `id gap count`.
        case estimates
        /// The rest of the request: one JSON object.
        case json
        /// The rest of the request: one JSON object, or nothing.
        case optionalJSON
        /// All remaining words, which may be none, as they were sent.
        case words
    }

    let form: Form
    /// The text of the argument in a usage line.
    package let usage: String

    fileprivate init(_ form: Form, usage: String) {
        self.form = form
        self.usage = usage
    }

    /// Whether the argument may have more than one word.
    package var mayRepeat: Bool {
        switch form {
        case .ids, .estimates, .words: true
        default: false
        }
    }

    package var isOptional: Bool {
        switch form {
        case .optionalWord, .optionalJSON, .words: true
        default: false
        }
    }
}

/// A positional argument of a verb, and the key that reads its value from a request: `request[.collection]` is a
/// `String`.
///
/// Use it only with requests of a verb that lists the argument.
@usableFromInline
package final class ArgumentKey<Value: Sendable>: VerbArgument, @unchecked Sendable {
    @usableFromInline let value: @Sendable (borrowing Request) -> Value

    fileprivate init(_ form: Form, usage: String, _ value: @escaping @Sendable (borrowing Request) -> Value) {
        self.value = value
        super.init(form, usage: usage)
    }
}

extension VerbArgument {
    package static let collection = collection(usage: "c")

    package static func collection(usage: String) -> ArgumentKey<String> {
        ArgumentKey(.collection, usage: usage) { $0.collection }
    }

    /// The second of two collections.
    package static func otherCollection(usage: String) -> ArgumentKey<String> {
        ArgumentKey(.otherCollection, usage: usage) { $0.word }
    }

    /// One id, decoded.
    package static let id = ArgumentKey<[UInt8]>(.id, usage: "id") { $0.id }

    /// A step. Nil for `-`.
    package static let step = ArgumentKey<Int64?>(.step, usage: "step") { $0.step }

    /// A number of rows or draws, from 1 to a limit.
    package static func count(_ name: String, max: @escaping @Sendable (Limits) -> Int) -> ArgumentKey<Int> {
        ArgumentKey(.count(name: name, max: max), usage: name) { $0.count }
    }

    /// The version of the protocol. The parser refuses every version but 1.
    package static let version = ArgumentKey<Int>(.version, usage: "\(Limits.protocolVersion)") { _ in
        Limits.protocolVersion
    }

    /// One word, or nil if it is missing.
    package static func optionalWord(_ name: String) -> ArgumentKey<String?> {
        ArgumentKey(.optionalWord, usage: "[\(name)]") { $0.word.isEmpty ? nil : $0.word }
    }

    /// All remaining words as they were sent. There may be none.
    package static func words(usage: String) -> ArgumentKey<PackedStrings> {
        ArgumentKey(.words, usage: usage) { $0.ids }
    }

    /// A vector of any dimension, with finite numbers.
    package static let vector = ArgumentKey<[Float]>(.vector, usage: "vector") { $0.vector }

    /// A vector, or instead of it an option that names an id.
    package static func vector(or option: OptionKey<[UInt8]>) -> ArgumentKey<VectorOrID> {
        ArgumentKey(.vectorUnless(option), usage: "vector|\(option.name)=\(option.placeholder)") { request in
            request[option].map { .id($0) } ?? .vector(request.vector)
        }
    }

    /// One or more ids, up to the end of the request.
    package static let ids = ArgumentKey<PackedStrings>(.ids, usage: "id...") { $0.ids }

    /// One or more triples of id, gap and count, up to the end of the request.
    package static let estimates = ArgumentKey<Estimates>(.estimates, usage: "id gap count [id gap count]...") {
        Estimates(ids: $0.ids, gaps: $0.gaps, counts: $0.counts)
    }

    /// One JSON object, minified. It ends the request.
    package static let json = ArgumentKey<[UInt8]>(.json, usage: "json") { $0.json }

    /// One JSON object, minified, or nil if it is missing. It ends the request.
    package static let optionalJSON = ArgumentKey<[UInt8]?>(.optionalJSON, usage: "[json]") {
        $0.json.isEmpty ? nil : $0.json
    }
}

/// The query of a `TOPK`: a vector, or the id of an item whose embedding is the vector.
package enum VectorOrID: Sendable, Equatable {
    case vector([Float])
    case id([UInt8])
}

/// A trainer's own estimates: a gap and a count for each id. NaN stands for `-`.
package struct Estimates: Sendable {
    package let ids: PackedStrings
    package let gaps: [Double]
    package let counts: [Double]
}
