# Writes the demo's customers, orders and order items as INSERT statements, the same ones every time.
function below(limit) {
  seed = (seed * 16807) % 2147483647
  return seed % limit
}
function add(table, row) {
  rows[table] = rows[table] (count[table] % 50 ? ",\n  " : (count[table] ? ";\n" : "") \
    "INSERT INTO " table " (" columns[table] ") VALUES\n  ") row
  count[table]++
}
BEGIN {
  seed = 20240229
  columns["customers"] = "region, id, name, email, country, joined"
  columns["orders"] = "region, customer_id, id, placed, status, total"
  columns["order_items"] = "region, customer_id, order_id, line, product_id, quantity, price"
  firsts = split("Ada Ben Chloé Deniz Emil Fatima Gita Hana Igor Júlia Kenji Lena Marek Nia Omar Priya", first)
  lasts = split("Adler Brown Costa Dubois Evans Fischer García Hoshino Iyer Jansen Kowalski Lee Moreau", last)
  split("US CA MX DE FR PL ES IN SG JP", country)
  split("1 1 1 2 2 2 2 3 3 3", home)
  split("9.90 18.50 6.80 12.00 10.50 5.40 29.00 64.00 35.00 79.00 3.20 4.10", price)
  states = split("open paid packed sent sent sent returned", status)
  order = 100
  for (id = 1; id <= 120; id++) {
    where = 1 + below(10)
    name = first[1 + below(firsts)] " " last[1 + below(lasts)]
    add("customers", sprintf("(%d, %d, '%s', 'customer%d@example.org', '%s', '20%02d-%02d-%02d')", \
      home[where], id, name, id, country[where], 19 + below(6), 1 + below(12), 1 + below(28)))
    for (n = below(5); n > 0; n--) {
      order++
      total = 0
      lines = 1 + below(3)
      for (line = 1; line <= lines; line++) {
        product = 1 + below(12)
        quantity = 1 + below(4)
        total += quantity * price[product]
        add("order_items", sprintf("(%d, %d, %d, %d, %d, %d, %s)", \
          home[where], id, order, line, product, quantity, price[product]))
      }
      add("orders", sprintf("(%d, %d, %d, '2024-%02d-%02d %02d:%02d:00', '%s', %.2f)", \
        home[where], id, order, 1 + below(12), 1 + below(28), below(24), below(60), \
        status[1 + below(states)], total))
    }
  }
  print rows["customers"] ";\n" rows["orders"] ";\n" rows["order_items"] ";"
}
