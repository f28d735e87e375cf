/// Answers that a person can judge: what do these packages need?
///
/// Nothing is excepted here but the package itself: the marks say what was right. The last package does not exist; its
/// name says enough.
struct Examples: Sendable {
    struct Answer: Sendable {
        let package: String
        /// Best first; each with what the data says of it.
        let needs: [(name: String, truth: Truth)]
    }

    enum Truth: Sendable {
        /// It does need that, and the model has seen the pair.
        case learned
        /// It does need that, and the model has not seen the pair.
        case heldOut
        /// The data does not say so.
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
