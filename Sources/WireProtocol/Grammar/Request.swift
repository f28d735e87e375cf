package import PackedStrings

/// A parsed request. The keys of its verb read its values: `request[.collection]`, `request[TopK.k]`.
///
/// A connection parses its requests into one value, one after another, because the memory of short lists is then used
/// again.
///
/// The parser has checked only the form: well-formed names, numbers in range, finite vectors, minified JSON. It does
/// not know whether the collection exists or the dimension fits.
@usableFromInline
package struct Request: Sendable {
    /// The index of the verb in the parser's list of syntaxes.
    package private(set) var verb = 0

    // The values of the positional arguments. Each has its own field, so that a request without options allocates only
    // its ids, its vector and its JSON.
    var collection = ""
    /// The second collection of `SWAP`, or an optional word. Empty if there is none: a word on the wire is never empty.
    var word = ""
    var id: [UInt8] = []
    /// Nil for `-`.
    var step: Int64?
    var count = 0
    var vector: [Float] = []
    package internal(set) var ids = PackedStrings()
    /// `gaps` and `counts` have one value for each id of `FREQSET`; other verbs leave them empty. NaN stands for `-`.
    var gaps: [Double] = []
    var counts: [Double] = []
    /// Minified. Empty if there is none: an object has at least two bytes.
    var json: [UInt8] = []

    @usableFromInline var options: [(key: VerbOption, value: any Sendable)] = []

    package init() {}

    /// Lists with more bytes than this are not kept for the next request.
    private static let keptBytesMax = 4_096

    /// Forgets the request, and begins one of this verb.
    mutating func begin(verb: Int) {
        self.verb = verb
        collection = ""
        if !word.isEmpty { word = "" }
        if !id.isEmpty { id = [] }
        step = nil
        count = 0
        if !vector.isEmpty { vector = [] }
        if !json.isEmpty { json = [] }
        if !gaps.isEmpty { (gaps, counts) = ([], []) }
        if !options.isEmpty { options = [] }
        if ids.byteCount > Self.keptBytesMax { ids = PackedStrings() } else { ids.removeAllKeepingCapacity() }
    }

    /// Gives up its lists, because a write or a query keeps them now.
    package mutating func forgetIDs() {
        ids = PackedStrings()
    }

    // The subscripts are inlinable, so that the compiler specializes them where the verbs call them. It inlines a
    // function of another module only if the enclosing type is `@usableFromInline` too.

    @inlinable @inline(__always)
    package subscript<Value>(argument: ArgumentKey<Value>) -> Value {
        argument.value(self)
    }

    @inlinable @inline(__always)
    package subscript<Value>(option: OptionKey<Value>) -> Value? {
        value(of: option)
    }

    @inlinable @inline(__always)
    package subscript<Value>(option: DefaultedOptionKey<Value>) -> Value {
        if let value: Value = value(of: option) { return value }
        return option.defaultValue
    }

    /// The request must be of a verb that has the option.
    @inlinable @inline(__always)
    package subscript<Value>(option: RequiredOptionKey<Value>) -> Value {
        value(of: option)!
    }

    /// Whether the request itself has the option: a default does not count.
    package func has(_ option: VerbOption) -> Bool {
        options.contains { $0.key === option }
    }

    /// The first of these options that the request itself has.
    package func first(of candidates: [VerbOption]) -> VerbOption? {
        candidates.first(where: has)
    }

    /// The number of ids, or the k or n of a query.
    package var size: Int { ids.isEmpty ? count : ids.count }

    mutating func set(_ option: VerbOption, to value: any Sendable) {
        options.append((option, value))
    }

    @inlinable
    func value<Value>(of option: VerbOption) -> Value? {
        for index in options.indices where options[index].key === option { return options[index].value as? Value }
        return nil
    }
}
