// Stores three embeddings and finds the two nearest: `swift run store-and-find logq://127.0.0.1:5647`.
import LogQClient

let url = CommandLine.arguments.dropFirst().first ?? "logq://127.0.0.1:5647"
let client = try await LogQClient.connect(url: url)
try await client.create("swift-example", dimension: 2, metric: .dot)
try await client.put("swift-example", "east", [1, 0])
try await client.put("swift-example", "north-east", [0.8, 0.6])
try await client.put("swift-example", "north", [0, 1])
for hit in try await client.topK("swift-example", 2, nearest: .vector([1, 0])) {
    print(hit.id.text ?? "\(hit.id.bytes)", hit.score)
}
try await client.drop("swift-example")
await client.close()
