/// A line of `/proc/self/mountinfo`:
///
///     number parent device root point options ... - type source options
struct MountEntry {
    /// `major:minor`.
    let device: String
    /// The directory of the file system at which the mount begins.
    let root: String
    let point: String
    let type: String
    /// The options of the file system, not those of the mount.
    let options: [Substring]

    /// All mounts of this process; none if they can't be read. `root` comes before the path of the list.
    static func all(root: String) -> [MountEntry] {
        linesOfFile(root + "/proc/self/mountinfo").compactMap(MountEntry.init)
    }

    private init?(_ line: String) {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash >= 5, fields.count > dash + 3 else { return nil }
        device = String(fields[2])
        root = Self.unescaped(fields[3])
        point = Self.unescaped(fields[4])
        type = String(fields[dash + 1])
        options = fields[dash + 3].split(separator: ",")
    }

    /// The kernel writes a space as `\040` and a backslash as `\134`.
    private static func unescaped(_ field: Substring) -> String {
        String(field).replacing("\\040", with: " ").replacing("\\134", with: "\\")
    }
}
