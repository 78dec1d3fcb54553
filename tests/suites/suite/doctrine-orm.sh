# Doctrine ORM's tests (PHP) over PDO_mysql and Debian's Doctrine DBAL, from Debian's source package.

. "$here/doctrine.sh"
driver=pdo_mysql
