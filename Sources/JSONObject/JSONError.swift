/// The reason why a JSON object was refused.
package enum JSONError: Error, Equatable {
    /// The text breaks the grammar at this byte, counted from 1. `got` has up to eight bytes from there, or none at the
    /// end of the text.
    case malformed(got: [UInt8], byte: Int, expected: String)
    /// One object, at any level, has this key (as written) twice.
    case repeatedKey([UInt8])
    /// Arrays and objects are nested deeper than this many levels.
    case tooDeep(levelsMax: Int)
    /// The object has more bytes than this after minification.
    case tooLong(bytesMax: Int)
}

/// The bounds of a JSON object.
package enum JSONLimits {
    /// The most bytes of a minified object: the most that the two bytes of its length can say, in memory and in the
    /// journal.
    package static let bytesMax = 65_535
    /// The deepest nesting of arrays and objects.
    package static let levelsMax = 64
}
