<?php
// What MediaWiki's tests need beside its own source package: PHPUnit, Hamcrest, and a way into private members in place of
// a library of its own that Debian does not have.

namespace Wikimedia {
    /** Reads and calls the private members of an object, or of a class. */
    final class TestingAccessWrapper
    {
        private function __construct(public ?object $object, private \ReflectionClass $class)
        {
        }

        public static function newFromObject(object $object): self
        {
            return new self($object, new \ReflectionClass($object));
        }

        public static function newFromClass(string $name): self
        {
            return new self(null, new \ReflectionClass($name));
        }

        /** An object made by a private constructor. */
        public static function construct(string $name, ...$arguments): object
        {
            $class = new \ReflectionClass($name);
            $object = $class->newInstanceWithoutConstructor();
            $class->getConstructor()->invokeArgs($object, $arguments);
            return $object;
        }

        public static function constant(string $name, string $constant): mixed
        {
            return (new \ReflectionClassConstant($name, $constant))->getValue();
        }

        /** A class has the private members of those that it extends only by their own names. */
        private function member(string $has, string $get, string $name): mixed
        {
            for ($class = $this->class; $class; $class = $class->getParentClass()) {
                if ($class->$has($name)) {
                    return $class->$get($name);
                }
            }
            return null;
        }

        private function property(string $name): ?\ReflectionProperty
        {
            return $this->member('hasProperty', 'getProperty', $name);
        }

        public function __get(string $name): mixed
        {
            $property = $this->property($name);
            return $property ? $property->getValue($this->object) : $this->object->$name;
        }

        public function __set(string $name, mixed $value): void
        {
            $property = $this->property($name);
            if ($property === null) {
                $this->object->$name = $value;
            } elseif ($property->isStatic()) {
                $property->setValue(null, $value);
            } else {
                $property->setValue($this->object, $value);
            }
        }

        public function __isset(string $name): bool
        {
            return $this->property($name)?->getValue($this->object) !== null;
        }

        public function __call(string $name, array $arguments): mixed
        {
            $method = $this->member('hasMethod', 'getMethod', $name);
            return $method ? $method->invokeArgs($this->object, $arguments) : $this->object->$name(...$arguments);
        }
    }
}

namespace {
    require_once 'PHPUnit/Autoload.php';
    require_once 'Hamcrest/autoload.php';
}
