// Threads that wait for work and do it without allocating anything.
#pragma once

#include <cstddef>

#ifndef TIMBREL_NO_THREADS
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#endif

namespace timbrel {

class Workers {
  public:
    using Work = void (*)(void* context, std::size_t index);

#ifdef TIMBREL_NO_THREADS
    explicit Workers(int) {}
    int size() const { return 1; }
    void run(std::size_t n, Work work, void* context) {
        for (std::size_t i = 0; i < n; ++i) work(context, i);
    }
#else
    // The calling thread works, too, so one fewer is started.
    explicit Workers(int n_threads) : size_(n_threads < 1 ? 1 : n_threads) {
        for (int i = 1; i < size_; ++i) threads_.emplace_back([this] { wait_for_work(); });
    }

    ~Workers() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        begin_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    int size() const { return size_; }

    // Does work(context, 0) … work(context, n - 1).
    void run(std::size_t n, Work work, void* context) {
        {
            const std::lock_guard lock(mutex_);
            work_ = work;
            context_ = context;
            next_ = 0;
            n_ = unfinished_ = n;
        }
        begin_.notify_all();
        std::unique_lock lock(mutex_);
        do_work(lock);
        end_.wait(lock, [this] { return unfinished_ == 0; });
    }

  private:
    void wait_for_work() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            do_work(lock);
            begin_.wait(lock, [this] { return stopping_ || next_ < n_; });
        }
    }

    void do_work(std::unique_lock<std::mutex>& lock) {
        while (next_ < n_) {
            const std::size_t mine = next_++;
            lock.unlock();
            work_(context_, mine);
            lock.lock();
            if (--unfinished_ == 0) end_.notify_all();
        }
    }

    int size_;
    bool stopping_ = false;
    std::size_t next_ = 0, n_ = 0, unfinished_ = 0;
    Work work_ = nullptr;
    void* context_ = nullptr;
    std::mutex mutex_;
    std::condition_variable begin_, end_;
    std::vector<std::thread> threads_;
#endif
};

}  // namespace timbrel
