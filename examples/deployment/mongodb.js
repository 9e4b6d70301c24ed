// Run once, when the volume is new: a user that may only read, and something to read.
const fs = require("fs");
const web = db.getSiblingDB("web");
web.createUser({
  user: "signals",
  pwd: fs.readFileSync("/run/secrets/web_password", "utf8").trim(),
  roles: [{ role: "read", db: "web" }],
});
web.visits.createIndex({ at: 1 });
web.visits.insertMany(
  Array.from({ length: 60 }, (_, n) => ({
    at: new Date(Date.now() - n * 20 * 60 * 1000),
    page: n % 3 ? "/" : "/basket",
  })),
);
