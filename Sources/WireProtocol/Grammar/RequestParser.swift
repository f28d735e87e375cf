import PackedStrings

/// Parses requests according to a list of verb syntaxes.
///
/// It takes the words from a `WordSource` in one pass, and copies only the values. An error says "got X, expected Y",
/// where Y comes from the verb's usage. A class, so that all connections share one instance without copies.
package final class RequestParser: Sendable {
    package let syntaxes: [VerbSyntax]
    package let limits: Limits
    /// The verbs' names as numbers, in the order of `syntaxes`. Comparing two names is then one comparison of numbers.
    private let names: [UInt128]

    package init(_ syntaxes: [VerbSyntax], limits: Limits) {
        self.syntaxes = syntaxes
        self.limits = limits
        names = syntaxes.map { syntax in
            var name = syntax.name
            return name.withUTF8 { Self.packedUpperCase(UnsafeRawBufferPointer($0)) }!
        }
    }

    /// The index of the verb with this name, in upper or lower case. Nil if there is none.
    package func verb(named name: UnsafeRawBufferPointer) -> Int? {
        Self.packedUpperCase(name).flatMap { names.firstIndex(of: $0) }
    }

    /// Parses a line. `line` excludes the LF and a CR before it.
    package func parse(_ line: UnsafeRawBufferPointer) throws(RefusedRequest) -> Request {
        var request = Request()
        try parse(line, into: &request)
        return request
    }

    /// Parses a line in place of what `request` was.
    func parse(_ line: UnsafeRawBufferPointer, into request: inout Request) throws(RefusedRequest) {
        var words = LineWords(line)
        do throws(RefusedRequest) {
            try parse(&words, into: &request)
        } catch {
            guard let foreign = ForeignProtocol.error(of: line, isVerb: error.verb != nil) else { throw error }
            throw RefusedRequest(verb: nil, error: foreign, endsConnection: true)
        }
    }

    /// Parses one request, which must use up all the words.
    package func parse(_ words: inout some WordSource) throws(RefusedRequest) -> Request {
        var request = Request()
        try parse(&words, into: &request)
        return request
    }

    /// Parses one request, which must use up all the words, in place of what `request` was.
    package func parse(_ words: inout some WordSource, into request: inout Request) throws(RefusedRequest) {
        let verb: Int
        do throws(WireError) {
            verb = try self.verb(&words)
        } catch {
            throw RefusedRequest(verb: nil, error: error)
        }
        // The request is filled in place, because copying it would cost a reference count for each of its lists.
        request.begin(verb: verb)
        var reader = RequestReader(syntax: syntaxes[verb], limits: limits)
        do throws(WireError) {
            try reader.read(&words, into: &request)
        } catch {
            throw RefusedRequest(verb: verb, error: error)
        }
    }

    private func verb(_ words: inout some WordSource) throws(WireError) -> Int {
        guard let name = try words.next() else {
            throw WireError(.badRequest, "got a request without words, expected a verb (HELP lists them)")
        }
        guard let verb = verb(named: name) else {
            throw WireError(.unknown, "got \(quoted(name)), expected a verb (HELP lists them)")
        }
        return verb
    }

    /// Packs up to 16 bytes into one number, with ASCII letters in upper case. Nil for a longer name.
    private static func packedUpperCase(_ name: UnsafeRawBufferPointer) -> UInt128? {
        guard name.count <= 16 else { return nil }
        var packed: UInt128 = 0
        for byte in name {
            let isLower = byte &- UInt8(ascii: "a") < 26
            packed = packed << 8 | UInt128(isLower ? byte & 0xDF : byte)
        }
        return packed
    }
}

/// The error of a request that does not parse.
package struct RefusedRequest: Error {
    /// The index of the verb. Nil if the first word is not a verb.
    package let verb: Int?
    package let error: WireError
    /// Whether no later line of the connection may be carried out.
    package let endsConnection: Bool

    package init(verb: Int?, error: WireError, endsConnection: Bool = false) {
        self.verb = verb
        self.error = error
        self.endsConnection = endsConnection
    }
}

/// Reads the words after the verb.
private struct RequestReader {
    let syntax: VerbSyntax
    let limits: Limits
    /// The number of ids in the options so far. They count toward the limit too.
    private var optionIDCount = 0

    init(syntax: VerbSyntax, limits: Limits) {
        self.syntax = syntax
        self.limits = limits
    }

    mutating func read<Words: WordSource>(_ words: inout Words, into request: inout Request) throws(WireError) {
        for index in syntax.arguments.indices { try read(syntax.arguments[index], &words, into: &request) }
        // In a binary request of a verb without options, a raw id or vector may look like one.
        if !Words.isBinary || !syntax.options.isEmpty { try readOptions(&words, into: &request) }
        words.endOptions()
        for index in syntax.tail.indices { try read(syntax.tail[index], &words, into: &request) }
        if let word = try words.next() {
            if let option = option(in: word), let last = syntax.tail.last {
                let place = "got \(option.name)= after \(last.usage), expected options before it"
                throw WireError(.badRequest, "\(place): \(syntax.usage)")
            }
            throw WireError(.badRequest, "got \(quoted(word)) too many, expected \(syntax.usage)")
        }
    }

    private mutating func readOptions(
        _ words: inout some WordSource,
        into request: inout Request
    ) throws(WireError) {
        while let name = words.optionName {
            let option = option(named: name)
            // The bytes of a vector may look like the name of an option that the verb does not have.
            if option == nil, words.isNextRaw { break }
            guard let word = try words.next() else { break }
            guard let option else {
                throw WireError(.badRequest, "got option \(quoted(name)), \(optionsExpected())")
            }
            guard !request.has(option) else {
                throw WireError(.badRequest, "got \(option.name)= twice, expected it once")
            }
            let value = UnsafeRawBufferPointer(rebasing: word[(name.count + 1)...])
            var text = OptionText(bytes: value, option: option, limits: limits, idCount: optionIDCount)
            request.set(option, to: try option.read(&text))
            optionIDCount = text.idCount
        }
        for option in syntax.requiredOptions where !request.has(option) {
            throw WireError(.badRequest, "got no \(option.name)=, expected \(syntax.usage)")
        }
    }

    private func option(named name: UnsafeRawBufferPointer) -> VerbOption? {
        syntax.options.first { equalsIgnoringCase(name, $0.name) }
    }

    /// The option of the verb that the word spells. Nil if it spells none.
    private func option(in word: UnsafeRawBufferPointer) -> VerbOption? {
        guard !syntax.options.isEmpty, let name = word.optionName() else { return nil }
        return option(named: name)
    }

    private func optionsExpected() -> String {
        if syntax.options.isEmpty { return "expected none: \(syntax.usage)" }
        return "expected " + syntax.options.map { $0.name + "=" }.joined(separator: " ")
    }

    // MARK: Positional arguments

    private func read<Words: WordSource>(
        _ argument: VerbArgument,
        _ words: inout Words,
        into request: inout Request
    ) throws(WireError) {
        switch argument.form {
        case .collection:
            request.collection = try collectionName(try word(&words))
        case .otherCollection:
            request.word = try collectionName(try word(&words))
        case .id:
            guard let word = try words.next() else { throw missingWords(words) }
            if !Words.isBinary { try refuseOption(word) }
            request.id = Words.isBinary ? try IDText.raw(word) : try IDText.decode(word)
        case .step:
            request.step = try step(try word(&words))
        case .count(let name, let max):
            request.count = try count(try word(&words), named: name, max: max(limits))
        case .version:
            try checkVersion(try word(&words))
        case .optionalWord:
            if let word = try words.next() { request.word = String(decoding: word, as: UTF8.self) }
        case .vector:
            request.vector = try VectorText.read(try word(&words), mayBeRaw: Words.isBinary)
        case .vectorUnless(let option):
            if !request.has(option) {
                request.vector = try VectorText.read(try word(&words), mayBeRaw: Words.isBinary)
            } else if !words.isAtEnd {
                throw WireError(.badRequest, "got more words after \(option.name)=, expected \(syntax.usage)")
            }
        case .ids:
            guard !words.isAtEnd else { throw missingWords(words) }
            try words.readIDs(into: &request.ids, countMax: limits.idsMax - optionIDCount, limit: limits.idsMax)
        case .estimates:
            try readEstimates(&words, into: &request)
        case .json:
            guard let text = try words.rest() else { throw missingWords(words) }
            request.json = try minifiedObject(text)
        case .optionalJSON:
            if let text = try words.rest() { request.json = try minifiedObject(text) }
        case .words:
            while let word = try words.next() { request.ids.append(word) }
        }
    }

    private func word(_ words: inout some WordSource) throws(WireError) -> UnsafeRawBufferPointer {
        guard let word = try words.next() else { throw missingWords(words) }
        try refuseOption(word)
        return word
    }

    private func refuseOption(_ word: UnsafeRawBufferPointer) throws(WireError) {
        guard let option = option(in: word) else { return }
        throw WireError(.badRequest, "got \(option.name)= too early, expected \(syntax.usage)")
    }

    private func missingWords(_ words: some WordSource) -> WireError {
        let got = words.wordCount - 1
        return WireError(
            .badRequest,
            "got \(got) \(got == 1 ? "word" : "words") after \(syntax.name), expected \(syntax.usage)"
        )
    }

    private func step(_ word: UnsafeRawBufferPointer) throws(WireError) -> Int64? {
        if isDash(word) { return nil }
        guard let step = NumberText.unsigned(word), step <= UInt64(Int64.max) else {
            throw WireError(.badRequest, "got step \(quoted(word)), expected 0 to \(Int64.max) or -")
        }
        return Int64(step)
    }

    private func count(_ word: UnsafeRawBufferPointer, named name: String, max: Int) throws(WireError) -> Int {
        guard let number = NumberText.unsigned(word), number > 0 else {
            throw WireError(.badRequest, "got \(name) \(quoted(word)), expected 1 to \(max)")
        }
        guard number <= max else {
            throw WireError(.limit, "got \(name) \(quotedNumber(word)), expected at most \(max)")
        }
        return Int(number)
    }

    private func checkVersion(_ word: UnsafeRawBufferPointer) throws(WireError) {
        guard NumberText.unsigned(word) == UInt64(Limits.protocolVersion) else {
            throw WireError(
                .badRequest,
                "got protocol \(quotedNumber(word)), expected \(Limits.protocolVersion)"
            )
        }
    }

    private func readEstimates<Words: WordSource>(
        _ words: inout Words,
        into request: inout Request
    ) throws(WireError) {
        guard !words.isAtEnd else { throw missingWords(words) }
        while let id = try words.next() {
            guard let gap = try words.next(), let count = try words.next() else { throw missingWords(words) }
            guard request.ids.count < limits.idsMax else { throw WireError.tooManyIDs(max: limits.idsMax) }
            if Words.isBinary {
                try IDText.appendRaw(id, to: &request.ids)
            } else {
                try IDText.decode(id, into: &request.ids)
            }
            request.gaps.append(try estimate(gap, "a gap, a number above 0, or -") { $0 > 0 })
            request.counts.append(
                try estimate(count, "a count, 0 to \(NumberText.text(Limits.countMax)), or -") {
                    $0 >= 0 && $0 <= Limits.countMax
                }
            )
        }
    }

    private func estimate(
        _ word: UnsafeRawBufferPointer,
        _ expected: @autoclosure () -> String,
        _ isAllowed: (Double) -> Bool
    ) throws(WireError) -> Double {
        if isDash(word) { return .nan }
        guard let number = NumberText.double(word), number.isFinite, isAllowed(number) else {
            throw WireError(.badRequest, "got \(quoted(word)), expected \(expected())")
        }
        return number
    }
}
