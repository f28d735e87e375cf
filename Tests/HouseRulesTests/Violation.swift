/// A violation of a rule, with its place.
struct Violation: Equatable, CustomStringConvertible {
    let path: String
    /// The number of the line, from 1.
    let line: Int
    let message: String

    init(path: String, line: Int, _ message: String) {
        self.path = path
        self.line = line
        self.message = message
    }

    var description: String { "\(path):\(line): \(message)" }
}
