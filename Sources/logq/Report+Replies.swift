import LogQClient
import WireProtocol

extension Report {
    static func embeddings(_ ids: [ItemID], _ embeddings: Embeddings) -> Report {
        var table = Table(("id", .left), ("vector", .left))
        var json: [JSONValue] = []
        for (id, slice) in zip(ids, embeddings) {
            let vector = slice.map { Array($0) }
            table.add(id.shown, Show.vector(vector))
            json.append(.object([("id", JSONValue(id)), ("vector", vector.map { .vector($0) } ?? .null)]))
        }
        return Report(table, json: .array(json))
    }

    static func deleted(_ ids: [ItemID], _ deleted: [Bool]) -> Report {
        var table = Table(("id", .left), ("deleted", .left))
        for (id, isDeleted) in zip(ids, deleted) { table.add(id.shown, isDeleted ? "yes" : "-") }
        let json = zip(ids, deleted).map { id, isDeleted in
            JSONValue.object([("id", JSONValue(id)), ("deleted", .bool(isDeleted))])
        }
        return Report(table, json: .array(json))
    }

    static func scan(_ items: [ScannedItem]) -> Report {
        var table = Table(("row", .right), ("id", .left))
        for item in items { table.add(String(item.row), item.id.shown) }
        let json = items.map { item in
            JSONValue.object([("row", JSONValue(Int(item.row))), ("id", JSONValue(item.id))])
        }
        return Report(table, json: .array(json))
    }

    /// Counts have all their digits, because the last row is a place to go on from.
    static func popular(_ ids: [PopularID]) -> Report {
        var table = Table(("id", .left), ("count", .right), ("step", .right))
        for id in ids { table.add(id.id.shown, NumberText.text(id.count), id.step.map { String($0) } ?? "-") }
        let json = ids.map { id in
            JSONValue.object([
                ("id", JSONValue(id.id)), ("count", .number(id.count)),
                ("step", id.step.map { .integer($0) } ?? .null),
            ])
        }
        return Report(table, json: .array(json))
    }

    static func features(_ ids: [ItemID], _ features: [String?]) -> Report {
        var table = Table(("id", .left), ("features", .left))
        for (id, json) in zip(ids, features) { table.add(id.shown, json.map(Show.json) ?? "-") }
        let json = zip(ids, features).map { id, json in
            JSONValue.object([("id", JSONValue(id)), ("features", json.map { .raw($0) } ?? .null)])
        }
        return Report(table, json: .array(json))
    }

    static func logQ(_ ids: [ItemID], _ values: [LogQ], unit: String) -> Report {
        var table = Table(("id", .left), ("log \(unit)", .right), ("state", .left))
        for (id, value) in zip(ids, values) { table.add(id.shown, Show.number(value.value), value.state.rawValue) }
        let json = zip(ids, values).map { id, value in
            JSONValue.object([
                ("id", JSONValue(id)), ("log", .number(value.value)), ("state", .string(value.state.rawValue)),
            ])
        }
        return Report(table, json: .array(json))
    }

    static func frequencies(_ ids: [ItemID], _ values: [Frequency]) -> Report {
        var table = Table(
            ("id", .left),
            ("q", .right),
            ("p", .right),
            ("expected", .right),
            ("gap", .right),
            ("count", .right),
            ("last step", .right),
            ("state", .left)
        )
        var json: [JSONValue] = []
        for (id, value) in zip(ids, values) {
            table.add(
                id.shown,
                Show.number(value.q),
                Show.number(value.p),
                Show.number(value.expected),
                Show.number(value.gap),
                Show.number(value.count),
                value.lastStep.map { String($0) } ?? "-",
                value.state.rawValue
            )
            json.append(
                .object([
                    ("id", JSONValue(id)), ("q", .number(value.q)), ("p", .number(value.p)),
                    ("expected", JSONValue(value.expected)), ("gap", JSONValue(value.gap)),
                    ("count", .number(value.count)), ("last", value.lastStep.map { .integer($0) } ?? .null),
                    ("state", .string(value.state.rawValue)),
                ])
            )
        }
        return Report(table, json: .array(json))
    }

    /// `neighbors` must have their ranks.
    static func neighbors(_ neighbors: [Neighbor], columns: TopKColumns) -> Report {
        var titles: [(String, Table.Alignment)] = [("", .right), ("id", .left), ("score", .right)]
        if columns.contains(.logQ) { titles.append(("log q", .right)) }
        if columns.contains(.vector) { titles.append(("vector", .left)) }
        if columns.contains(.features) { titles.append(("features", .left)) }
        var table = Table(titles)
        var json: [JSONValue] = []
        for neighbor in neighbors {
            var cells = [neighbor.rank.map { String($0) } ?? "-", neighbor.id.shown, Show.number(neighbor.score)]
            var members: [(String, JSONValue)] = [
                ("id", JSONValue(neighbor.id)), ("score", .number(neighbor.score)),
                ("rank", neighbor.rank.map { JSONValue($0) } ?? .null),
            ]
            if columns.contains(.logQ) {
                cells.append(Show.number(neighbor.logQ))
                members.append(("logq", JSONValue(neighbor.logQ)))
            }
            if columns.contains(.vector) {
                cells.append(Show.vector(neighbor.vector))
                members.append(("vector", neighbor.vector.map { .vector($0) } ?? .null))
            }
            if columns.contains(.features) {
                cells.append(neighbor.features.map(Show.json) ?? "-")
                members.append(("features", neighbor.features.map { .raw($0) } ?? .null))
            }
            table.add(cells)
            json.append(.object(members))
        }
        return Report(table, json: .array(json))
    }

    static func scores(_ ids: [ItemID], _ scores: [Double?]) -> Report {
        var table = Table(("id", .left), ("score", .right))
        for (id, score) in zip(ids, scores) { table.add(id.shown, Show.number(score)) }
        let json = zip(ids, scores).map { id, score in
            JSONValue.object([("id", JSONValue(id)), ("score", JSONValue(score))])
        }
        return Report(table, json: .array(json))
    }

    static func collections(_ collections: [CollectionDescription]) -> Report {
        var table = Table(
            ("collection", .left),
            ("dimension", .right),
            ("metric", .left),
            ("alpha", .right),
            ("items", .right),
            ("ids", .right),
            ("half-life", .right),
            ("recent", .right),
            ("max ids", .right),
            ("sketch", .right)
        )
        var json: [JSONValue] = []
        for collection in collections {
            table.add(
                collection.name,
                String(collection.dimension),
                collection.metric.rawValue,
                Show.number(collection.alpha),
                Show.count(collection.itemCount),
                Show.count(collection.idCount),
                collection.halfLife.map { Show.number($0) } ?? "-",
                Show.count(collection.recentCount),
                collection.idCountMax.map { Show.count($0) } ?? "-",
                collection.sketch.map { "\($0.hashCount) x \(Show.count($0.bucketCount))" } ?? "-"
            )
            json.append(
                .object([
                    ("name", .string(collection.name)), ("dimension", JSONValue(collection.dimension)),
                    ("metric", .string(collection.metric.rawValue)), ("alpha", .number(collection.alpha)),
                    ("items", JSONValue(collection.itemCount)), ("ids", JSONValue(collection.idCount)),
                    ("half_life", collection.halfLife.map { .number($0) } ?? .null),
                    ("recent", JSONValue(collection.recentCount)),
                    ("max_ids", collection.idCountMax.map { JSONValue($0) } ?? .null),
                    ("buckets", collection.sketch.map { JSONValue($0.bucketCount) } ?? .null),
                    ("hashes", collection.sketch.map { JSONValue($0.hashCount) } ?? .null),
                ])
            )
        }
        return Report(table, json: .array(json))
    }

    static func namedValues(_ values: NamedValues) -> Report {
        let width = values.map(\.name.count).max() ?? 0
        let lines = values.map { value in
            value.name + String(repeating: " ", count: width - value.name.count + 2) + value.value
        }
        return Report(
            text: lines.joined(separator: "\n"),
            json: .object(values.map { ($0.name, .string($0.value)) })
        )
    }

    static func lines(_ lines: [String]) -> Report {
        Report(text: lines.joined(separator: "\n"), json: .array(lines.map { .string($0) }))
    }
}
