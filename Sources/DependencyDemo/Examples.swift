/// The dependencies that the daemon returns for a few packages, which a reader can check.
///
/// Only the package itself is excluded. Marks show the right answers. The last package does not exist, and its name and
/// section are the whole query.
struct Examples: Sendable {
    struct Answer: Sendable {
        let package: String
        /// Best first, each with its relation to the data.
        let needs: [(name: String, truth: Truth)]
    }

    enum Truth: Sendable {
        /// The pair is in the data, and the model was trained on it.
        case learned
        /// The pair is in the data, but was held out.
        case heldOut
        /// The pair is not in the data.
        case none
    }

    static let names = ["gimp", "blender", "inkscape", "python3-flask", "texlive-music", "wireshark-qt"]
    static let invented = DependencyData.Package(name: "python3-gtk-music-player", section: "python", dependencies: [])
    static let depth = 6

    let answers: [Answer]

    static func ask(
        _ data: DependencyData,
        _ vocabulary: Vocabulary,
        heldOut: [Pair],
        _ model: TwoTowerModel,
        _ store: some EmbeddingStore
    ) async throws -> Examples {
        var answers: [Answer] = []
        for name in names {
            guard let number = data.packages.firstIndex(where: { $0.name == name }) else { continue }
            let package = data.packages[number]
            let unseen = Set(heldOut.lazy.filter { $0.package == Int32(number) }.map(\.dependency))
            let itself = data.dependencyNames.firstIndex(of: package.name).map { [Int32($0)] } ?? []
            let found = try await store.nearest(to: model.query(Int32(number)), k: depth, except: itself)
            let known = Set(package.dependencies)
            let needs = found.map { dependency in
                let truth: Truth =
                    unseen.contains(dependency) ? .heldOut : known.contains(dependency) ? .learned : .none
                return (data.dependencyNames[Int(dependency)], truth)
            }
            answers.append(Answer(package: package.name, needs: needs))
        }
        let query = model.query(tokens: vocabulary.numbers(of: invented))
        let found = try await store.nearest(to: query, k: depth, except: [])
        let needs = found.map { (data.dependencyNames[Int($0)], Truth.none) }
        answers.append(Answer(package: invented.name + " (invented)", needs: needs))
        return Examples(answers: answers)
    }
}
