package import JSONObject

extension WireError {
    /// The error of a request whose JSON was refused.
    package init(_ error: JSONError) {
        switch error {
        case .malformed(let got, let byte, let expected):
            guard !got.isEmpty else {
                self.init(.badRequest, "got the end of the JSON, expected \(expected)")
                return
            }
            let text = got.withUnsafeBytes { quoted($0) }
            self.init(.badRequest, "got \(text) at byte \(byte) of the JSON, expected \(expected)")
        case .repeatedKey(let key):
            let text = key.withUnsafeBytes { quoted($0) }
            self.init(.badRequest, "got key \(text) twice in one JSON object, expected it once")
        case .tooDeep(let levelsMax):
            self.init(.limit, "got JSON nested deeper than \(levelsMax) levels")
        case .tooLong(let bytesMax):
            self.init(.limit, "got JSON of more than \(bytesMax) bytes, minified")
        }
    }
}

/// Checks and minifies the JSON object of a request.
func minifiedObject(_ text: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
    do throws(JSONError) {
        return try JSONText.minifiedObject(text)
    } catch {
        throw WireError(error)
    }
}
